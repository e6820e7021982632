package prove_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stepup-auth/stepup/pkg/table"
)

// of returns a session's id and its token, if it has only one.
func (w *lifeWork) of(session int) (id, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if session < 0 || w.ids[session] == "" {
		return "", ""
	}
	if session%2 == 0 {
		token = w.tokens[session]
	}
	return w.ids[session], token
}

func (w *lifeWork) created(session int, r reply) {
	if r.outcome != done {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids[session], w.tokens[session] = r.body.SessionID, r.body.SessionToken
}

// known lists the ids that somebody was told.
func (w *lifeWork) known() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.ids[:]), func(id string) bool { return id == "" })
}

func quoted(ids []string) string {
	var all []string
	for _, id := range ids {
		all = append(all, strconv.Quote(id))
	}
	return strings.Join(all, ",")
}

// ending is the body of a request that ends sessions.
func (w *lifeWork) ending(in lifeCall) string {
	switch id, _ := w.of(in.session); {
	case in.session != nobody:
		return fmt.Sprintf(`{"keepSessionId":%q}`, id)
	case in.agent != "":
		return fmt.Sprintf(`{"fingerprintId":%q}`, in.agent)
	default:
		return "{}"
	}
}

func listed(r reply) string {
	var ids []string
	for _, s := range r.body.Sessions {
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

func idsIn(listed string) []string { return strings.Fields(listed) }

// lagging is a store whose index does not show the latest row yet.
type lagging struct{ table.Table }

func (l *lagging) Query(ctx context.Context, q table.Query) (table.Page, error) {
	page, err := l.Table.Query(ctx, q)
	if q.Index != "" && page.Next == "" && len(page.Rows) > 0 {
		page.Rows = page.Rows[:len(page.Rows)-1]
	}
	return page, err
}
