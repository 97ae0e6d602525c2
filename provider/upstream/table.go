package upstream

// Kinds lists the types of providers, in the order in which they are named to operators.
var Kinds = []Kind{
	google,
	github,
	openIDConnect,
	microsoft,
	gitlab,
	apple,
}

// FindKind returns the row of a type, nil if there is none.
func FindKind(name string) *Kind {
	for i := range Kinds {
		if Kinds[i].Type == name {
			return &Kinds[i]
		}
	}
	return nil
}
