package credential

// For tests that hold the quick way against the general one.
var (
	ScanPlain         = scanPlain
	SlowCanonicalJSON = rewrite
)
