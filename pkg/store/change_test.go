package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/store"
	"github.com/stepup-auth/stepup/pkg/table"
)

func TestChangesOfSessionsAndUsersAreToldFromOthers(t *testing.T) {
	t.Parallel()
	token := table.Item{"tok": make([]byte, 16)}
	for name, tc := range map[string]struct {
		key  table.Key
		item table.Item
		want string
	}{
		"session":         {table.Key{PK: "SES#s", SK: "A"}, token, "lifecycle.SessionChange"},
		"user":            {table.Key{PK: "USR#u", SK: "A"}, table.Item{}, "lifecycle.UserChange"},
		"id with a hash":  {table.Key{PK: "USR#a#b", SK: "A"}, table.Item{}, "lifecycle.UserChange"},
		"guard":           {table.Key{PK: "USR#u", SK: "GUARD"}, table.Item{}, "lifecycle.GuardChange"},
		"security key":    {table.Key{PK: "USR#u", SK: "CRED#k"}, table.Item{}, "lifecycle.KeyChange"},
		"login name":      {table.Key{PK: "LOGIN#u", SK: "A"}, table.Item{"u": "u"}, "<nil>"},
		"credential":      {table.Key{PK: "CRED#00", SK: "A"}, table.Item{"u": "u"}, "<nil>"},
		"address":         {table.Key{PK: "EMAIL#a", SK: "u"}, table.Item{"u": "u"}, "<nil>"},
		"API key":         {table.Key{PK: "KEYS", SK: "k"}, table.Item{"role": "IAM_OWNER"}, "<nil>"},
		"messages":        {table.Key{PK: "SENT#sms#00", SK: "A"}, table.Item{}, "<nil>"},
		"budget":          {table.Key{PK: "BUDGET#sms", SK: "2026-03-01"}, table.Item{}, "<nil>"},
		"codes not used":  {table.Key{PK: "UNUSED#sms#+41#a#b", SK: "2026-03-01T12:00:00Z"}, table.Item{"n": int64(1)}, "lifecycle.RegionChange"},
		"user's other":    {table.Key{PK: "USR#u", SK: "B"}, table.Item{}, "<nil>"},
		"session's other": {table.Key{PK: "SES#s", SK: "B"}, table.Item{}, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, images := range [][2]table.Item{{nil, tc.item}, {tc.item, nil}, {tc.item, tc.item}} {
				change, err := store.DecodeChange(tc.key, images[0], images[1])
				if got := fmt.Sprintf("%T", change); got != tc.want || err != nil {
					t.Errorf("%s: %s, %v, want %s", tc.key, got, err, tc.want)
				}
			}
		})
	}
}

func TestChangeThatCannotBeReadNamesTheItemAndNoValue(t *testing.T) {
	t.Parallel()
	for key, item := range map[table.Key]table.Item{
		{PK: "SES#s", SK: "A"}:      {"tok": make([]byte, 16), "ua": map[string]any{"ip": "canary"}},
		{PK: "USR#u", SK: "A"}:      {"em": []byte("canary")},
		{PK: "USR#u", SK: "GUARD"}:  {"codes": []any{"canary"}},
		{PK: "USR#u", SK: "CRED#k"}: {"tr": []any{int64(7)}, "cid": []byte("canary")},
		{PK: "SES#", SK: "A"}:       {"tok": make([]byte, 16), "by": "canary"},
		{PK: "USR#", SK: "B"}:       {},
		{PK: "UNUSED#sms#+41#o"}:    {"n": "canary"},
		{PK: "UNUSED#sms##o"}:       {"max": "canary"},
		{PK: "UNUSED##+41#o"}:       {},
		{PK: "UNUSED#sms#+41"}:      {},
	} {
		for _, images := range [][2]table.Item{{nil, item}, {item, nil}} {
			_, err := store.DecodeChange(key, images[0], images[1])
			if err == nil || fault.From(err).Kind != fault.Internal || !strings.Contains(err.Error(), key.String()) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
}
