package apitest_test

import (
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
)

func TestSeedFillsAnyTableWithTheFixture(t *testing.T) {
	t.Parallel()
	if err := apitest.Seed(t.Context(), apptest.Bolt(t)); err != nil {
		t.Fatal(err)
	}
}

func TestSeedFailsWhereTheFixtureIsAlready(t *testing.T) {
	t.Parallel()
	bolt := apptest.Bolt(t)
	if err := apitest.Seed(t.Context(), bolt); err != nil {
		t.Fatal(err)
	}
	err := apitest.Seed(t.Context(), bolt)
	if err == nil || !strings.Contains(err.Error(), "seed the users") {
		t.Errorf("err = %v, want it to name the users", err)
	}
}
