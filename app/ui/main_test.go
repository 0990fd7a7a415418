package ui

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// speak sets the language of the texts that follow.
func speak(language string) error {
	for _, name := range []string{"LANGUAGE", "LC_ALL", "LC_MESSAGES"} {
		os.Unsetenv(name)
	}
	os.Setenv("LANG", language)
	return LoadTranslations()
}

func TestMain(m *testing.M) {
	if err := speak("en_US.UTF-8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}
