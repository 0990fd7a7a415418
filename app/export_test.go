package app

// Holding reports whether a copy that ends when Paddock does keeps an app from running.
func (a *App) Holding(ref string) bool {
	app, err := a.find(ref)
	if err != nil {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return app.hold != nil
}
