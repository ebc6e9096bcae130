package credential

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// encoding/json takes "Version" for "version", so that a document with both has two readings and no duplicate key. And
// it takes null for an empty list, which gives one list two spellings. checkMembers refuses both.
func checkMembers(text []byte, target any) error {
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	return checkValue(value, reflect.TypeOf(target))
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// checkValue follows a decoded value along the type it will be stored in. Types that decode themselves answer for
// themselves.
func checkValue(value any, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if pointer := reflect.PointerTo(t); pointer.Implements(jsonUnmarshaler) || pointer.Implements(textUnmarshaler) {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return checkStruct(value, t)
	case reflect.Slice, reflect.Array, reflect.Map:
		return checkElements(value, t)
	}
	return nil
}

func checkStruct(value any, t reflect.Type) error {
	object, ok := value.(map[string]any)
	if !ok {
		return nil // null for a pointer, or a mistake that decoding reports
	}
	members := make(map[string]reflect.Type)
	collectMembers(t, members)
	for name, v := range object {
		member, known := members[name]
		if !known {
			return fmt.Errorf("unknown member %s", quote(name))
		}
		if err := checkValue(v, member); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func checkElements(value any, t reflect.Type) error {
	switch value := value.(type) {
	case nil:
		return fmt.Errorf("null, where a list or map is expected: %w", ErrNotCanonical)
	case []any:
		for i, v := range value {
			if err := checkValue(v, t.Elem()); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	case map[string]any:
		for name, v := range value {
			if err := checkValue(v, t.Elem()); err != nil {
				return fmt.Errorf("%s: %w", quote(name), err)
			}
		}
	}
	return nil
}

// collectMembers finds the JSON names of a struct's fields, those of embedded structs included.
func collectMembers(t reflect.Type, members map[string]reflect.Type) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag := field.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		if embedded := field.Type; field.Anonymous && name == "" {
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			if embedded.Kind() == reflect.Struct {
				collectMembers(embedded, members)
				continue
			}
		}
		if tag == "-" || !field.IsExported() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		members[name] = field.Type
	}
}
