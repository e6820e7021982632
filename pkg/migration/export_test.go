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
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := f.Type
		if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
			inner = inner.Elem()
			all = append(all, path+name)
		}
		if inner.Kind() != reflect.Struct {
			all = append(all, path+name)
		} else {
			all = append(all, fields(path+name+".", inner)...)
		}
	}
	return all
}
