package attack

func egressRows() []row   { return nil }
func processRows() []row  { return nil }
func engineRows() []row   { return nil }
func resourceRows() []row { return nil }
func hostRows() []row     { return nil }
