package apigw_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

func TestHandlerHasTheLambdaDeadlineLessTheMargin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name         string
		left, margin time.Duration
		want         time.Duration // of the handler; zero means that it must not run
	}{
		{"default margin", 10 * time.Second, 0, 9500 * time.Millisecond},
		{"own margin", 10 * time.Second, 2 * time.Second, 8 * time.Second},
		{"just enough", 601 * time.Millisecond, 0, 101 * time.Millisecond},
		{"too little", 600 * time.Millisecond, 0, 0},
		{"nothing", -time.Second, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tc.left)
				defer cancel()
				var got time.Duration
				h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					deadline, _ := r.Context().Deadline()
					got = time.Until(deadline)
				}), apigw.Options{Margin: tc.margin})
				out := invokeContext(ctx, t, h, fixture(t, "rest-json"))
				if got != tc.want {
					t.Errorf("the handler had %v, want %v", got, tc.want)
				}
				if tc.want == 0 {
					wantStatus(t, out, http.StatusGatewayTimeout, `{"code":4,"message":"Too little time was left to start the request"}`)
				}
			})
		})
	}
}

func TestContextWithoutDeadlineIsPassedOn(t *testing.T) {
	t.Parallel()
	type key struct{}
	h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := r.Context().Deadline(); ok {
			t.Error("the handler has a deadline that nobody set")
		}
		if r.Context().Value(key{}) != "kept" {
			t.Error("the values of the Lambda context are lost")
		}
	}), apigw.Options{})
	invokeContext(context.WithValue(t.Context(), key{}, "kept"), t, h, fixture(t, "rest-json"))
}
