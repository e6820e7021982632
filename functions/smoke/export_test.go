package main

// Variables returns every variable that the function reads.
func Variables() []string {
	var names []string
	_, _ = load(func(name string) (string, bool) {
		names = append(names, name)
		return "", false
	})
	return names
}
