package web

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// Every text exists in both languages and says something else in each, and every key that a template names has a text.
func TestTexts(t *testing.T) {
	for key, text := range texts {
		if text.English == "" || text.Chinese == "" || text.English == text.Chinese {
			t.Errorf("%s: %q, %q", key, text.English, text.Chinese)
		}
	}
	named := regexp.MustCompile(`\.T "([a-z.-]+)"`)
	found := 0
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".html") {
			return err
		}
		text, err := assets.ReadFile(path)
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			found++
			if _, ok := texts[match[1]]; !ok {
				t.Errorf("%s: there is no text %s", path, match[1])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if found == 0 {
		t.Error("no template names a text: the test proves nothing")
	}
}

// No asset loads or sends anything elsewhere, and no template has script or style within, which the policy would not let run.
func TestAssetsStayAtHome(t *testing.T) {
	elsewhere := regexp.MustCompile(`(src|href|action)="(https?:)?//|@import|url\(|fetch\("http|<style|<script>|\son[a-z]+="| style="`)
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "button.js") {
			return err
		}
		text, err := assets.ReadFile(path)
		if match := elsewhere.Find(text); match != nil {
			t.Errorf("%s has %q", path, match)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLanguage(t *testing.T) {
	for _, c := range []struct{ query, header, want string }{
		{"", "", "en"},
		{"", "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"},
		{"", "zh-Hans", "zh-CN"},
		{"", "zh", "zh-CN"},
		{"", "de,zh-CN;q=0.5", "zh-CN"},
		{"", "de", "en"},
		{"", "en-GB,zh;q=0.5", "en"},
		{"", ";;;", "en"},
		{"?lang=zh-CN", "en", "zh-CN"},
		{"?lang=en", "zh-CN", "en"},
		{"?lang=fr", "zh-CN", "zh-CN"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/"+c.query, nil)
		r.Header.Set("Accept-Language", c.header)
		if got := languageOf(r); got != c.want {
			t.Errorf("%q, %q: %s, want %s", c.query, c.header, got, c.want)
		}
	}
}
