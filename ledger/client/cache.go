package client

import (
	"container/list"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Cache keeps immutable objects by name. It may lose any of them at any time, and it need not be trusted: whatever
// comes from it is checked like an answer of the host. It must be safe for concurrent use.
type Cache interface {
	Get(name string) ([]byte, bool)
	Put(name string, data []byte)
}

// LRU is a [Cache] in memory that forgets what was not used for longest.
type LRU struct {
	mu       sync.Mutex
	capacity int
	size     int
	order    *list.List // of *object, the most recently used first
	byName   map[string]*list.Element
}

type object struct {
	name string
	data []byte
}

// NewLRU is a [Cache] in memory that holds about that many bytes.
func NewLRU(capacity int) *LRU {
	return &LRU{capacity: capacity, order: list.New(), byName: make(map[string]*list.Element)}
}

// Get finds an object. Its bytes must not be changed.
func (c *LRU) Get(name string) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.byName[name]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*object).data, true
}

// Put keeps an object; its bytes must not be changed afterwards.
func (c *LRU) Put(name string, data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.byName[name]; ok {
		c.remove(e)
	}
	if len(data) > c.capacity {
		return
	}
	c.byName[name] = c.order.PushFront(&object{name, data})
	c.size += len(name) + len(data)
	for c.size > c.capacity {
		c.remove(c.order.Back())
	}
}

func (c *LRU) remove(e *list.Element) {
	o := c.order.Remove(e).(*object)
	delete(c.byName, o.name)
	c.size -= len(o.name) + len(o.data)
}

// Directory is a [Cache] of files in one folder. It can be deleted at any time. A reader of the folder learns which
// groups of leaves the owner looked up, as the ledger's host does.
type Directory struct {
	path     string
	capacity int64
	mu       sync.Mutex
	size     int64 // of all files, about
}

// OpenDirectory opens or makes a cache folder that holds about capacity bytes.
func OpenDirectory(path string, capacity int64) (*Directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	d := &Directory{path: path, capacity: capacity}
	files, err := d.files()
	if err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	for _, f := range files {
		d.size += f.Size()
	}
	return d, nil
}

func (d *Directory) file(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(d.path, hex.EncodeToString(sum[:])+".object")
}

// Get reads an object.
func (d *Directory) Get(name string) ([]byte, bool) {
	file := d.file(name)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(file, now, now) // a cache that cannot tell what is used only forgets the wrong thing
	return data, true
}

// Put writes an object if it can.
func (d *Directory) Put(name string, data []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	temporary, err := os.CreateTemp(d.path, "new-*.object")
	if err != nil {
		return
	}
	_, err = temporary.Write(data)
	if closeErr := temporary.Close(); err != nil || closeErr != nil || os.Rename(temporary.Name(), d.file(name)) != nil {
		_ = os.Remove(temporary.Name())
		return
	}
	if d.size += int64(len(data)); d.size > d.capacity {
		d.evict()
	}
}

// evict removes what was not used for longest until a quarter is free.
func (d *Directory) evict() {
	files, err := d.files()
	if err != nil {
		return
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	d.size = 0
	for _, f := range files {
		d.size += f.Size()
	}
	for _, f := range files {
		if d.size <= d.capacity*3/4 {
			return
		}
		if os.Remove(filepath.Join(d.path, f.Name())) == nil {
			d.size -= f.Size()
		}
	}
}

func (d *Directory) files() ([]fs.FileInfo, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, err
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && filepath.Ext(e.Name()) == ".object" {
			files = append(files, info)
		}
	}
	return files, nil
}
