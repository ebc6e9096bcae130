package web

import (
	"strings"
	"testing"
)

// The page says what an answer narrows down, with a word before what a person should notice.
func TestPageNarrows(t *testing.T) {
	s := start(t, &visits{pages: map[string]*Visit{"p": someVisit()}})
	_, english := get(t, s.URL+"/verify/p?lang=en")
	for _, want := range []string{
		"<h2>What the answer narrows down</h2>", `<li><strong>Note:</strong> &lt;i&gt;one&lt;/i&gt; value</li>`, "<li>many values</li>",
	} {
		if !strings.Contains(english, want) {
			t.Errorf("the page does not have %s:\n%s", want, english)
		}
	}
	if _, chinese := get(t, s.URL+"/verify/p?lang=zh-CN"); !strings.Contains(chinese, `<strong>请注意：</strong> 仅一个值`) {
		t.Error(chinese)
	}
}
