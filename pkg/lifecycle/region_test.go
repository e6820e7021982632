package lifecycle_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/sending"
)

func TestARegionIsToldOfWhenItIsStopped(t *testing.T) {
	t.Parallel()
	standing := func(messages, limit int) *sending.Standing {
		return &sending.Standing{Messages: messages, Limit: limit, End: at(60)}
	}
	for name, tc := range map[string]struct {
		before, after *sending.Standing
		told          bool
	}{
		"first message":            {nil, standing(1, 7), false},
		"first message is all":     {nil, standing(1, 1), true},
		"another":                  {standing(5, 7), standing(6, 7), false},
		"the last":                 {standing(6, 7), standing(7, 7), true},
		"after a lower limit":      {standing(6, 10), standing(7, 7), true},
		"after a higher limit":     {standing(7, 7), standing(8, 10), false},
		"a code pays":              {standing(7, 7), standing(-3, 7), false},
		"nothing changes":          {standing(7, 7), standing(7, 7), false},
		"taken back":               {standing(7, 7), standing(6, 7), false},
		"swept":                    {standing(7, 7), nil, false},
		"never there":              {nil, nil, false},
		"stopped and written anew": {standing(8, 8), standing(7, 7), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var want []lifecycle.Event
			if tc.told {
				want = []lifecycle.Event{{
					ID: "r.sending.stopped", Name: lifecycle.SendingStopped, Time: record().At, Organization: "default",
					Channel: sending.SMS, CallingCode: "+41", Limit: tc.after.Limit, Until: at(60),
				}}
			}
			change := lifecycle.RegionChange{
				Region: sending.Region{Channel: sending.SMS, Organization: "default", CallingCode: "+41"}, Old: tc.before, New: tc.after,
			}
			for range 2 { // a record that is delivered again
				if diff := cmp.Diff(want, change.Events(record())); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
