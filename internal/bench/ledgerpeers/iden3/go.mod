module github.com/bulla-id/bulla/internal/bench/ledgerpeers/iden3

go 1.26.4

require github.com/iden3/go-merkletree-sql/v2 v2.0.6

require (
	github.com/iden3/go-iden3-crypto v0.0.15 // indirect
	golang.org/x/sys v0.6.0 // indirect
)
