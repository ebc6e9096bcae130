package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/bulla-id/bulla/wallet"
)

// Every command says what it does, and shows how: itself, or the group that it belongs to.
func TestEveryCommandIsExplained(t *testing.T) {
	count := 0
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			visit(c)
		}
		if cmd.Hidden || !cmd.Runnable() {
			return
		}
		count++
		long, example := cmd.Long+cmd.Parent().Long, cmd.Example+"\n"+cmd.Parent().Example
		if cmd.Short == "" || long == "" || !strings.Contains(example, cmd.CommandPath()) {
			t.Errorf("%s lacks a short or long text, or an example of itself", cmd.CommandPath())
		}
	}
	visit(rootCommand())
	if count < 28 {
		t.Errorf("only %d commands", count)
	}
}

// Both languages have every text, with the same places for values.
func TestWordsAreComplete(t *testing.T) {
	english, chinese := reflect.ValueOf(*wordsOf["en"]), reflect.ValueOf(*wordsOf["zh-CN"])
	for i := range english.NumField() {
		name, e, c := english.Type().Field(i).Name, english.Field(i), chinese.Field(i)
		if e.Kind() == reflect.Map {
			if e.Len() == 0 || e.Len() != c.Len() {
				t.Errorf("%s: %d texts and %d", name, e.Len(), c.Len())
			}
			continue
		}
		if e.String() == "" || c.String() == "" || strings.Count(e.String(), "%") != strings.Count(c.String(), "%") {
			t.Errorf("%s: %q and %q", name, e, c)
		}
	}
	for _, w := range wordsOf {
		for _, s := range []wallet.State{wallet.StateActive, wallet.StateWaiting, wallet.StateRevokedOrSuspended, wallet.StateIssuerSuspended, wallet.StateNotYetValid, wallet.StateExpired} {
			if w.states[s] == "" {
				t.Errorf("no text for the state %s", s)
			}
		}
		for _, s := range []wallet.Stage{wallet.StageAsk, wallet.StageChain, wallet.StageKey, wallet.StageProve, wallet.StageWait, wallet.StageSend, wallet.StageDone} {
			if w.stages[s] == "" {
				t.Errorf("no text for the stage %s", s)
			}
		}
	}
}

func TestOnlyAWholeYesAgrees(t *testing.T) {
	for answer, want := range map[string]bool{
		"yes\n": true, " YES \r\n": true, "同意\n": true, "": false, "\n": false, "y\n": false, "no\n": false, "yes please\n": false, "不同意\n": false,
	} {
		if got := wordsOf["zh-CN"].agrees(answer); got != want {
			t.Errorf("%q agrees: %t", answer, got)
		}
	}
	if wordsOf["en"].agrees("同意") {
		t.Error("an answer to another question agrees")
	}
}

func TestTableAlignsWideText(t *testing.T) {
	var tab table
	tab.row("1", "居住证明", "ok")
	tab.row("10", "Residence", "ok")
	var out strings.Builder
	tab.print(&out)
	if want := "1   居住证明   ok\n10  Residence  ok\n"; out.String() != want {
		t.Errorf("printed\n%swant\n%s", out.String(), want)
	}
}

func TestDefaultLanguage(t *testing.T) {
	for _, c := range []struct{ all, lang, want string }{
		{"", "", "en"}, {"", "zh_CN.UTF-8", "zh-CN"}, {"zh_CN", "en_US", "zh-CN"}, {"C", "zh_CN", "en"}, {"", "de_DE", "en"},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", "")
		t.Setenv("LANG", c.lang)
		if got := defaultLanguage(); got != c.want {
			t.Errorf("%q, %q: %s", c.all, c.lang, got)
		}
	}
}

func TestErrorsDoNotSteerTheTerminal(t *testing.T) {
	if got := printable("refused: \x1b[2Jall is well\r\u202e\nnext"); got != "refused: �[2Jall is well��\nnext" {
		t.Errorf("%q", got)
	}
}
