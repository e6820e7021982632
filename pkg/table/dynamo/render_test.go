package dynamo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

// expressions are the members of a request that are made of conditions and changes.
var expressions = []string{
	"ConditionExpression", "UpdateExpression", "KeyConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues",
}

func number(n string) map[string]any { return map[string]any{"N": n} }

func text(s string) map[string]any { return map[string]any{"S": s} }

func TestOperationsAreWrittenAsExpressions(t *testing.T) {
	t.Parallel()
	a, deep, pk := table.At("a"), table.At("m", "k.[0]", "a"), map[string]any{"#0": "PK"}
	for name, tc := range map[string]struct {
		op   table.Op
		want map[string]any
	}{
		"no condition": {table.Put(key, nil, nil), map[string]any{}},
		"an item":      {table.Put(key, nil, table.Exists()), map[string]any{"ConditionExpression": "attribute_exists(#0)", "ExpressionAttributeNames": pk}},
		"no item":      {table.Put(key, nil, table.NotExists()), map[string]any{"ConditionExpression": "attribute_not_exists(#0)", "ExpressionAttributeNames": pk}},
		"parts": {
			table.Delete(key, table.All{
				table.Any{table.Present{Path: deep}, table.Negated{Part: table.Compare{Path: a, Rel: table.Equal, Value: "x"}}},
				table.All{table.SizeBelow{Path: a, Limit: 3}},
				table.Compare{Path: a, Rel: table.GreaterOrEqual, Value: int64(4)},
			}),
			map[string]any{
				"ConditionExpression":       "((attribute_exists(#0.#1.#2)) OR (NOT (#2 = :0))) AND (size(#2) < :1) AND (#2 >= :2)",
				"ExpressionAttributeNames":  map[string]any{"#0": "m", "#1": "k.[0]", "#2": "a"},
				"ExpressionAttributeValues": map[string]any{":0": text("x"), ":1": number("3"), ":2": number("4")},
			},
		},
		"changes": {
			table.Update(key, table.Exists(), table.Set(deep, "x"), table.Remove(table.At("b")), table.SetIfAbsent(table.At("c"), "y"), table.Add(table.At("n"), 2)),
			map[string]any{
				"ConditionExpression":       "attribute_exists(#0)",
				"UpdateExpression":          "SET #1.#2.#3 = :0, #5 = if_not_exists(#5, :1), #6 = if_not_exists(#6, :2) + :3 REMOVE #4",
				"ExpressionAttributeNames":  map[string]any{"#0": "PK", "#1": "m", "#2": "k.[0]", "#3": "a", "#4": "b", "#5": "c", "#6": "n"},
				"ExpressionAttributeValues": map[string]any{":0": text("x"), ":1": text("y"), ":2": number("0"), ":3": number("2")},
			},
		},
		"a removal": {table.Update(key, nil, table.Remove(a)), map[string]any{"UpdateExpression": "REMOVE #0", "ExpressionAttributeNames": map[string]any{"#0": "a"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, played := scripted(dynamo.Options{}, ok(`{}`))
			if err := s.Write(t.Context(), table.Write{Ops: []table.Op{tc.op}}); err != nil {
				t.Fatal(err)
			}
			wantExpressions(t, played, tc.want)
		})
	}
}

func TestQueriesAreWrittenAsExpressions(t *testing.T) {
	t.Parallel()
	whole := map[string]any{"#0": "PK", "#1": "SK"}
	for want, tc := range map[string]struct {
		query  table.Query
		names  map[string]any
		values map[string]any
	}{
		"#0 = :0":                         {table.Query{PK: "P"}, map[string]any{"#0": "PK"}, map[string]any{":0": text("P")}},
		"#0 = :0 AND begins_with(#1, :1)": {table.Query{PK: "P", Prefix: "s"}, whole, map[string]any{":0": text("P"), ":1": text("s")}},
		"#0 = :0 AND #1 >= :1":            {table.Query{PK: "P", From: "a"}, whole, map[string]any{":0": text("P"), ":1": text("a")}},
		"#0 = :0 AND #1 <= :1":            {table.Query{PK: "P", To: "z"}, whole, map[string]any{":0": text("P"), ":1": text("z")}},
		"#0 = :0 AND #1 BETWEEN :1 AND :2": {
			table.Query{PK: "P", From: "a", To: "z"}, whole, map[string]any{":0": text("P"), ":1": text("a"), ":2": text("z")},
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			s, played := scripted(dynamo.Options{}, ok(`{}`))
			if _, err := s.Query(t.Context(), tc.query); err != nil {
				t.Fatal(err)
			}
			wantExpressions(t, played, map[string]any{
				"KeyConditionExpression": want, "ExpressionAttributeNames": tc.names, "ExpressionAttributeValues": tc.values,
			})
		})
	}
}

func wantExpressions(t *testing.T, played *script, want map[string]any) {
	t.Helper()
	got := map[string]any{}
	for _, member := range expressions {
		if v, ok := played.requests[0].body[member]; ok {
			got[member] = v
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("expressions (-want +got):\n%s", diff)
	}
}
