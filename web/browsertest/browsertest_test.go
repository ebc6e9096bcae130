package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// A browser that ends before it has begun, as on a busy machine, is started again.
func TestBrowserStartsAgain(t *testing.T) {
	chromium := find(t)
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n[ -e %[1]s/tried ] || { touch %[1]s/tried; exit 1; }\nexec %[2]s \"$@\"\n", dir, chromium)
	if err := os.WriteFile(filepath.Join(dir, "chromium"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	b := Open(t)
	b.Open("data:text/html,<p id=here>here</p>")
	if _, err := os.Stat(filepath.Join(dir, "tried")); err != nil {
		t.Fatal("the browser that ends was not asked")
	}
	if text := Evaluate[string](b, `document.getElementById("here").textContent`); text != "here" {
		t.Errorf("the page says %q", text)
	}
	b.WantNoErrors()
}
