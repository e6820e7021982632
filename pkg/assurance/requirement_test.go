package assurance_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
)

const (
	password = assurance.Password
	totp     = assurance.TOTP
)

type ages = map[assurance.Factor]time.Duration

func sets(all ...[]assurance.Factor) [][]assurance.Factor { return all }

func TestARequirementIsMetByTheLevelByFreshFactorsAndByASet(t *testing.T) {
	t.Parallel()
	ago := func(f assurance.Factor, d time.Duration) assurance.Evidence {
		return plus(assurance.Evidence{Verified: map[assurance.Factor]time.Time{f: noon.Add(-d)}}, password)
	}
	for name, tc := range map[string]struct {
		r    assurance.Requirement
		e    assurance.Evidence
		want bool
	}{
		"the level":                           {assurance.Requirement{MinAAL: 2}, evidence(password, totp), true},
		"a higher level":                      {assurance.Requirement{MinAAL: 1}, evidence(password, totp), true},
		"a lower level":                       {assurance.Requirement{MinAAL: 3}, evidence(password, totp), false},
		"nothing at all":                      {assurance.Requirement{MinAAL: 1}, assurance.Evidence{}, false},
		"a set":                               {assurance.Requirement{AnyOf: sets([]assurance.Factor{assurance.Email})}, evidence(assurance.Email), true},
		"the second set":                      {assurance.Requirement{AnyOf: sets([]assurance.Factor{assurance.Key}, []assurance.Factor{password, totp})}, evidence(password, totp), true},
		"half a set":                          {assurance.Requirement{AnyOf: sets([]assurance.Factor{password, totp})}, evidence(password), false},
		"the level without the set":           {assurance.Requirement{MinAAL: 2, AnyOf: sets([]assurance.Factor{assurance.Key})}, evidence(password, totp), false},
		"the set without the level":           {assurance.Requirement{MinAAL: 2, AnyOf: sets([]assurance.Factor{password})}, evidence(password), false},
		"just fresh":                          {assurance.Requirement{MinAAL: 2, MaxAge: ages{totp: time.Minute}}, ago(totp, time.Minute), true},
		"just too old":                        {assurance.Requirement{MinAAL: 2, MaxAge: ages{totp: time.Minute}}, ago(totp, time.Minute+1), false},
		"an age of another factor":            {assurance.Requirement{MinAAL: 2, MaxAge: ages{password: time.Minute}}, ago(totp, time.Hour), true},
		"an age of all others":                {assurance.Requirement{MinAAL: 2, MaxAge: ages{password: time.Minute, assurance.Any: time.Hour}}, ago(totp, time.Hour+1), false},
		"an age of its own before all others": {assurance.Requirement{MinAAL: 2, MaxAge: ages{totp: time.Hour, assurance.Any: time.Minute}}, ago(totp, time.Hour), true},
		"an age alone asks for level 1":       {assurance.Requirement{MaxAge: ages{assurance.Any: time.Minute}}, evidence(assurance.Email), false},
		"and has it":                          {assurance.Requirement{MaxAge: ages{assurance.Any: time.Minute}}, evidence(password), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.r.Met(tc.e, noon); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestARequirementThatMakesNoSenseIsRefusedByItsField(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		r    assurance.Requirement
		want string
	}{
		{assurance.Requirement{}, "require: must name min_aal, max_age or any_of"},
		{assurance.Requirement{MinAAL: 4}, "require.min_aal: must be between 0 and 3"},
		{assurance.Requirement{MaxAge: ages{totp: -time.Second}}, "require.max_age: must be greater than 0s"},
		{assurance.Requirement{MaxAge: ages{"otp": time.Second}}, "require.max_age: keys must be factors, or * for all others"},
		{assurance.Requirement{AnyOf: make([][]assurance.Factor, 17)}, "require.any_of: must hold at most 16 sets"},
		{assurance.Requirement{AnyOf: sets([]assurance.Factor{"pass"})}, "require.any_of: each set must be factors with commas between"},
		{assurance.Requirement{AnyOf: sets(nil)}, "require.any_of: each set must be factors with commas between"},
	} {
		f := fault.From(tc.r.Validate())
		if f == nil || f.Kind != fault.InvalidArgument || f.Text != tc.want {
			t.Errorf("%+v: %v, want %s", tc.r, f, tc.want)
		}
	}
	for _, r := range []assurance.Requirement{{MinAAL: 3}, {MaxAge: ages{assurance.Any: 1}}, {AnyOf: sets(assurance.Factors())}} {
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestS11_ARequirementSpeaksTheWordsOfRFC9470(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		r   assurance.Requirement
		acr []string
		age time.Duration
	}{
		{assurance.Requirement{MinAAL: 2}, []string{"aal2", "aal3"}, 0},
		{assurance.Requirement{MaxAge: ages{assurance.Any: time.Hour, totp: time.Minute}}, []string{"aal1", "aal2", "aal3"}, time.Minute},
		{assurance.Requirement{AnyOf: sets([]assurance.Factor{totp})}, nil, 0},
	} {
		if diff := cmp.Diff(tc.acr, tc.r.ACRValues()); diff != "" {
			t.Error(diff)
		}
		if got := tc.r.ShortestAge(); got != tc.age {
			t.Errorf("%v, want %v", got, tc.age)
		}
	}
}

// What people have set up.
var (
	byPassword = assurance.Option{Factor: password}
	byApp      = assurance.Option{Factor: totp}
	bySMS      = assurance.Option{Factor: assurance.SMS, Sends: assurance.SMSSent}
	byMail     = assurance.Option{Factor: assurance.Email, Sends: assurance.EmailSent}
	byPasskey  = assurance.Option{Factor: assurance.Key, UserVerified: true}
	byKey      = assurance.Option{Factor: assurance.Key, DeviceBound: true}
)

func TestStepsAreTheCheapestFirstAndAllLeadThere(t *testing.T) {
	t.Parallel()
	everything := []assurance.Option{bySMS, byMail, byKey, byPasskey, byApp, byPassword}
	step := func(o assurance.Option, why assurance.Reason, then ...assurance.Factor) assurance.Step {
		return assurance.Step{Option: o, Why: why, Then: then}
	}
	old := assurance.Evidence{Verified: map[assurance.Factor]time.Time{password: noon.Add(-time.Hour), totp: noon.Add(-time.Hour)}}
	for name, tc := range map[string]struct {
		r       assurance.Requirement
		e       assurance.Evidence
		options []assurance.Option
		want    []assurance.Step
	}{
		"a second factor": {
			assurance.Requirement{MinAAL: 2}, evidence(password), everything,
			[]assurance.Step{step(byPasskey, assurance.NotVerified), step(byApp, assurance.NotVerified), step(byKey, assurance.NotVerified), step(bySMS, assurance.NotVerified)},
		},
		"from nothing, with the cheapest way to begin with each": {
			assurance.Requirement{MinAAL: 2}, assurance.Evidence{}, everything,
			[]assurance.Step{step(byPasskey, assurance.NotVerified), step(byPassword, assurance.NotVerified, totp)},
		},
		"a message where nothing else leads there": {
			assurance.Requirement{MinAAL: 2}, evidence(password), []assurance.Option{bySMS, byMail},
			[]assurance.Step{step(bySMS, assurance.NotVerified)},
		},
		"mail before SMS": {
			assurance.Requirement{AnyOf: sets([]assurance.Factor{assurance.SMS}, []assurance.Factor{assurance.Email})}, evidence(password), everything,
			[]assurance.Step{step(byMail, assurance.NotVerified), step(bySMS, assurance.NotVerified)},
		},
		"a code that is out already costs nothing": {
			assurance.Requirement{MinAAL: 2}, evidence(password), []assurance.Option{{Factor: assurance.SMS}, byKey},
			[]assurance.Step{step(byKey, assurance.NotVerified), step(assurance.Option{Factor: assurance.SMS}, assurance.NotVerified)},
		},
		"only what is too old": {
			assurance.Requirement{MinAAL: 2, MaxAge: ages{totp: time.Minute}}, old, []assurance.Option{byPassword, byApp},
			[]assurance.Step{step(byApp, assurance.TooOld)},
		},
		"a stronger key": {
			assurance.Requirement{MinAAL: 2}, evidence(assurance.Key), []assurance.Option{byPasskey},
			[]assurance.Step{step(byPasskey, assurance.TooWeak)},
		},
		"no way":         {assurance.Requirement{MinAAL: 3}, evidence(password), []assurance.Option{byApp, byMail, bySMS, byPasskey}, nil},
		"nothing set up": {assurance.Requirement{MinAAL: 1}, assurance.Evidence{}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, tc.r.Steps(tc.e, tc.options, noon)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUntriedOptionsAreTheCheapestFirst(t *testing.T) {
	t.Parallel()
	passkey := assurance.Option{Factor: assurance.Key, UserVerified: true}
	sms := assurance.Option{Factor: assurance.SMS, Sends: assurance.SMSSent}
	out := assurance.Option{Factor: assurance.SMS}
	mail := assurance.Option{Factor: assurance.Email, Sends: assurance.EmailSent}
	app := assurance.Option{Factor: assurance.TOTP}
	password := assurance.Option{Factor: assurance.Password}
	for name, tc := range map[string]struct {
		proved        []assurance.Factor
		options, want []assurance.Option
	}{
		"none":            {nil, nil, nil},
		"all":             {nil, []assurance.Option{sms, mail, app, password, passkey}, []assurance.Option{passkey, password, app, mail, sms}},
		"a code is out":   {nil, []assurance.Option{mail, out, app}, []assurance.Option{app, out, mail}},
		"some are proved": {[]assurance.Factor{assurance.Password, assurance.SMS}, []assurance.Option{sms, mail, app, password}, []assurance.Option{app, mail}},
		"all are proved":  {[]assurance.Factor{assurance.Key}, []assurance.Option{passkey}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := assurance.Evidence{Verified: map[assurance.Factor]time.Time{}}
			for _, f := range tc.proved {
				e.Verified[f] = noon
			}
			var got []assurance.Option
			for _, s := range assurance.Untried(e, tc.options) {
				got = append(got, s.Option)
				if s.Why != assurance.NotVerified || len(s.Then) > 0 {
					t.Errorf("%s: %q, then %v", s.Factor, s.Why, s.Then)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
