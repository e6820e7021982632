package store

import (
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Attributes of a link; its name is shared with API keys.
const (
	attrProvider = "idp"
	attrExternal = "ext"
)

// linkEntries returns the items of a user's external accounts: each its own, and the
// claim on the account.
func linkEntries(u *user.User) []entry {
	var entries []entry
	for _, l := range u.Links {
		r := newRecord()
		put(r, attrProvider, l.ProviderID)
		put(r, attrExternal, l.ExternalID)
		put(r, attrName, l.Name)
		entries = append(entries, entry{key: userLinkKey(u.ID, l), item: r.item}, entry{
			key: linkKey(l.ProviderID, l.ExternalID), item: table.Item{attrUserID: u.ID}, unique: true,
		})
	}
	return entries
}

func decodeLink(row table.Row) (user.Link, error) {
	r := &record{item: row.Attrs}
	l := user.Link{
		ProviderID: get[string](r, attrProvider), ExternalID: get[string](r, attrExternal), Name: get[string](r, attrName),
	}
	if r.err != nil {
		return user.Link{}, corrupt(row.Key, r.err)
	}
	return l, nil
}
