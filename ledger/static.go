package ledger

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/bulla-id/bulla/credential"
	"github.com/bulla-id/bulla/credential/tree"
	"github.com/bulla-id/bulla/internal/webapi"
)

// Static is the part of a ledger that is files: the checkpoint, and what it fixes. It can be served from the rows of
// any store that replayed the chain, and exported to a folder ([Export]). Whoever can change the rows can refuse to
// serve: readers check everything.
type Static struct {
	rows   Reader
	head   func() []byte // the checkpoint that is served; nil before the first
	size   func() uint64 // how many entries may be served: those in a signed checkpoint
	logger *slog.Logger
}

// NewStatic serves the rows of a store. head is the checkpoint that is served, nil before there is one; size is how many
// entries are.
func NewStatic(rows Reader, head func() []byte, size func() uint64, logger *slog.Logger) *Static {
	return &Static{rows, head, size, logger}
}

// Kinds of static objects, which are the first parts of their paths.
const (
	kindTile     = "tile"
	kindActive   = "active"
	kindRegistry = "registry"
	kindCensus   = "census"
	kindSet      = "set"
	kindGenesis  = "genesis"
	kindSeal     = "seal"
	kindSeals    = "seals"
)

// immutable is for what never changes; it may be gone one day.
const immutable = "public, max-age=31536000, immutable"

var contentTypes = map[string]string{
	kindTile: "application/octet-stream", kindActive: "application/octet-stream",
	kindRegistry: "application/json", kindCensus: "application/json", kindGenesis: "application/jose+json",
	kindSet: "application/json", kindSeal: "application/json", kindSeals: "application/octet-stream",
}

// Routes adds the static paths to a group:
//
//	GET  /checkpoint                       the published checkpoint: C2SP tlog-checkpoint with cosignatures
//	GET  /tile/{L}/{N}[.p/{W}]             hash tile, C2SP tlog-tiles
//	GET  /tile/entries/{N}[.p/{W}]         entry bundle: each entry behind its length in 16 bits
//	GET  /genesis                          the first entry
//	GET  /active/{row}/{name}              tile of the active tree
//	GET  /registry/{digest}                canonical JSON named by a seal
//	GET  /census/{digest}                  canonical JSON named by a seal
//	GET  /set/{digest}                     canonical JSON that policies name
//	GET  /seal/{size}                      the last entry of a tree of that size, if it is a seal, with its inclusion proof
//	GET  /seals/{N}[.p/{W}]                seals by height, in the form of entry bundles
func (s *Static) Routes(group gin.IRoutes) {
	group.GET("/checkpoint", s.getCheckpoint)
	for _, pattern := range []string{"/tile/*path", "/genesis", "/active/:row/:name", "/registry/:digest", "/census/:digest", "/set/:digest", "/seal/:size", "/seals/*path"} {
		group.GET(pattern, s.getObject)
	}
}

func (s *Static) getCheckpoint(c *gin.Context) {
	head := s.head()
	if head == nil {
		webapi.Refuse(c, webapi.NewProblem(http.StatusNotFound, "not-published", "no checkpoint is published yet"))
		return
	}
	c.Header("Cache-Control", "no-cache")
	c.Data(http.StatusOK, "text/plain; charset=utf-8", head)
}

func (s *Static) getObject(c *gin.Context) {
	data, err := s.Object(c.Request.URL.Path)
	if err != nil {
		c.Header("Cache-Control", "no-store") // it may come
		refuseAbsent(c, s.logger, err)
		return
	}
	kind, _, _ := strings.Cut(strings.TrimPrefix(c.Request.URL.Path, "/"), "/")
	c.Header("Cache-Control", immutable)
	writeCompressed(c, contentTypes[kind], data)
}

// refuseAbsent answers for what is not there, or could not be read.
func refuseAbsent(c *gin.Context, logger *slog.Logger, err error) {
	var gone *notKept
	switch {
	case errors.As(err, &gone):
		webapi.Refuse(c, webapi.NewProblem(http.StatusNotFound, "not-kept", gone.detail))
	case errors.Is(err, ErrAbsent):
		webapi.Refuse(c, webapi.NewProblem(http.StatusNotFound, "not-found", "there is nothing by that name"))
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		webapi.Refuse(c, webapi.NewProblem(http.StatusServiceUnavailable, "canceled", "the request ended before the answer"))
	default:
		logger.ErrorContext(c, "request failed", slog.String("path", c.FullPath()), slog.Any("error", err))
		webapi.Refuse(c, webapi.NewProblem(http.StatusInternalServerError, "internal", "something went wrong here"))
	}
}

// Object is what stands at a static path, which begins with a slash, but for the checkpoint. What is not there is an
// [ErrAbsent].
func (s *Static) Object(name string) ([]byte, error) {
	if name != path.Clean(name) {
		return nil, ErrAbsent
	}
	kind, rest, _ := strings.Cut(strings.TrimPrefix(name, "/"), "/")
	switch kind {
	case kindTile:
		return s.tile("/" + rest)
	case kindActive:
		return s.active(rest)
	case kindRegistry, kindCensus:
		return s.document(kind, rest)
	case kindSet:
		var digest credential.Digest
		if digest.UnmarshalText([]byte(rest)) != nil {
			return nil, ErrAbsent
		}
		return s.rows.Get([]byte(setKey(digest)))
	case kindSeal:
		return s.lastEntry(rest)
	case kindSeals:
		return s.sealBundle(rest)
	case kindGenesis:
		if rest == "" && s.size() > 0 {
			return readEntry(s.rows, 0)
		}
	}
	return nil, ErrAbsent
}

func (s *Static) active(rest string) ([]byte, error) {
	var name credential.Element
	number, text, _ := strings.Cut(rest, "/")
	row, err := strconv.Atoi(number)
	if err != nil || row < 0 || row >= tree.TileRows || strconv.Itoa(row) != number || name.UnmarshalText([]byte(text)) != nil {
		return nil, ErrAbsent
	}
	data, err := s.rows.Get([]byte(elementKey(prefixTile, name)))
	if isAbsent(err) {
		return nil, absentVersion(s.rows, "tile")
	}
	return data, err
}

func (s *Static) document(kind, text string) ([]byte, error) {
	var digest credential.Digest
	if digest.UnmarshalText([]byte(text)) != nil {
		return nil, ErrAbsent
	}
	data, err := s.rows.Get([]byte(documentKey(digest)))
	if isAbsent(err) {
		return nil, absentVersion(s.rows, kind)
	}
	return data, err
}

// minCompressed is the size from which compressing is worth a reader's while.
const minCompressed = 512

var compressors = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}

// writeCompressed answers with bytes, by gzip if the reader takes that and it helps: bundles and documents shrink to a
// third, tiles of hashes do not.
func writeCompressed(c *gin.Context, contentType string, data []byte) {
	c.Header("Vary", "Accept-Encoding")
	if len(data) >= minCompressed && takesGzip(c.GetHeader("Accept-Encoding")) {
		if small := compress(data); len(small) < len(data)*9/10 {
			c.Header("Content-Encoding", "gzip")
			data = small
		}
	}
	c.Data(http.StatusOK, contentType, data)
}

func compress(data []byte) []byte {
	var out bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&out)
	_, _ = z.Write(data) // into memory: cannot fail
	_ = z.Close()
	return out.Bytes()
}

// takesGzip reads an Accept-Encoding header (RFC 9110, 12.5.3), as far as gzip goes.
func takesGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if coding = strings.TrimSpace(coding); !strings.EqualFold(coding, "gzip") {
			continue
		}
		q, found := strings.CutPrefix(strings.TrimSpace(weight), "q=")
		value, err := strconv.ParseFloat(q, 64)
		return !found || err == nil && value > 0
	}
	return false
}
