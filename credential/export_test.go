package credential

// For tests that hold the quick way against the general one.
var (
	RewritePlain      = rewritePlain
	SlowCanonicalJSON = rewrite
)
