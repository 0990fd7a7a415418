//go:build !linux

package loadtest

import "time"

func resident() uint64 { return 0 }

func processor() time.Duration { return 0 }
