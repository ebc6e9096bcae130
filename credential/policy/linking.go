package policy

import "fmt"

// Linking is by what whoever asks recognises the person at another visit, or that there is nothing: pages show it as a sign of its own.
type Linking struct {
	Kind LinkingKind `json:"kind"`
	Text string      `json:"text"` // one sentence
}

// LinkingKind is what a visit can be recognised by.
type LinkingKind string

// The kinds, from what tells nothing to what tells most.
const (
	LinkedByNothing   LinkingKind = "nothing"
	LinkedByThing     LinkingKind = "thing"     // a tag of the thing itself
	LinkedByService   LinkingKind = "service"   // a pseudonym for one service of the verifier
	LinkedWidely      LinkingKind = "widely"    // a pseudonym, or tag, that other verifiers receive too
	LinkedByCompanion LinkingKind = "companion" // the signature of a companion, if one is shown instead of a proof
)

type linkingWords struct{ nothing, thing, service, widely, thingWidely, companion string }

var linkingPhrases = map[string]linkingWords{
	"en": {
		nothing:     "Nothing that is sent links this visit to any other.",
		thing:       "The verifier recognises the same thing at the next visit, within “%s”.",
		service:     "The verifier recognises you at your next visit, within “%s”.",
		widely:      "This verifier and others that share a scope recognise you at every visit (shared scope %s).",
		thingWidely: "This verifier and others that share a scope recognise the same thing at every visit (shared scope %s).",
		companion:   "Whoever shows an ordinary credential (companion) from another wallet instead is recognised at every visit.",
	},
	"zh-CN": {
		nothing:     "所发送的内容无法将本次与任何其他一次相关联。",
		thing:       "下次出示时，验证方能在“%s”范围内认出同一物。",
		service:     "您下次出示时，验证方能在“%s”范围内认出您。",
		widely:      "本验证方以及共用同一范围的其他验证方，每次都能认出您（共用范围 %s）。",
		thingWidely: "本验证方以及共用同一范围的其他验证方，每次都能认出同一物（共用范围 %s）。",
		companion:   "改用其他钱包出示普通凭证（伴随凭证）的人，每次都会被认出。",
	},
}

func linkingWordsIn(language string) linkingWords {
	if w, ok := linkingPhrases[language]; ok {
		return w
	}
	return linkingPhrases["en"]
}

// LinkingOf says in a language by what an answer to all statements is recognised at another visit. Companions, if one is accepted, come last.
func LinkingOf(statements []*Statement, language string) (list []Linking) {
	w := linkingWordsIn(language)
	companion := false
	for _, s := range statements {
		if s.Scope != nil {
			list = append(list, s.Scope.linking(LinkedByService, w.service, w.widely))
		}
		if s.SubjectScope != nil {
			list = append(list, s.SubjectScope.linking(LinkedByThing, w.thing, w.thingWidely))
		}
		companion = companion || s.Companion
	}
	if len(list) == 0 {
		list = append(list, Linking{LinkedByNothing, w.nothing})
	}
	if companion {
		list = append(list, Linking{LinkedByCompanion, w.companion})
	}
	return list
}

func (s *Scope) linking(kind LinkingKind, own, shared string) Linking {
	if s.Shared != nil {
		return Linking{LinkedWidely, fmt.Sprintf(shared, fmt.Sprint(*s.Shared))}
	}
	return Linking{kind, fmt.Sprintf(own, s.Service)}
}
