module github.com/bulla-id/bulla/internal/bench/peers/gabi

go 1.26.4

require github.com/privacybydesign/gabi v0.0.0-20260730161920-1d483a24028f

require (
	github.com/bwesterb/go-exptable v1.0.0 // indirect
	github.com/fxamacker/cbor v1.5.1 // indirect
	github.com/go-errors/errors v1.5.1 // indirect
	github.com/klauspost/cpuid/v2 v2.3.0 // indirect
	github.com/minio/sha256-simd v1.0.1 // indirect
	github.com/mr-tron/base58 v1.3.0 // indirect
	github.com/multiformats/go-multihash v0.2.3 // indirect
	github.com/multiformats/go-varint v0.1.0 // indirect
	github.com/sirupsen/logrus v1.9.4 // indirect
	github.com/spaolacci/murmur3 v1.1.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/crypto v0.53.0 // indirect
	golang.org/x/sys v0.46.0 // indirect
	lukechampine.com/blake3 v1.4.1 // indirect
)
