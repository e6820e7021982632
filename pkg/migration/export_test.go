package migration

import (
	"reflect"
	"strings"
)

// Fields are the paths of all fields of a line; those of an array's elements have no
// index.
func Fields() []string { return fields("", reflect.TypeFor[record]()) }

func fields(path string, t reflect.Type) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner, leaf := f.Type, true
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			inner = inner.Elem()
			all = append(all, path+name)
		}
		if leaf = inner.Kind() != reflect.Struct; leaf {
			all = append(all, path+name)
		} else {
			all = append(all, fields(path+name+".", inner)...)
		}
	}
	return all
}
