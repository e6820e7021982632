package infra_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/reflect/protoreflect"

	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
)

// contract returns the ways to each method, as the gateway names routes: REST, where it
// has any, and RPC.
func contract(t *testing.T) map[string][]string {
	t.Helper()
	ways := map[string][]string{}
	for _, file := range []protoreflect.FileDescriptor{
		sessionv2.File_zitadel_session_v2_session_service_proto, userv2.File_zitadel_user_v2_user_service_proto,
		sessionv1.File_stepup_session_v1_session_service_proto,
	} {
		service := file.Services().Get(0)
		for i := range service.Methods().Len() {
			method := service.Methods().Get(i)
			name := string(method.FullName())
			ways[name] = append(rest(t, name), fmt.Sprintf("POST /%s/%s", service.FullName(), method.Name()))
		}
	}
	return ways
}

// rest returns the REST routes of a method.
func rest(t *testing.T, method string) []string {
	t.Helper()
	var service struct {
		HTTP struct {
			Rules []map[string]string `yaml:"rules"`
		} `yaml:"http"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "proto/http.yaml")), &service); err != nil {
		t.Fatal(err)
	}
	var routes []string
	for _, rule := range service.HTTP.Rules {
		if rule["selector"] != method {
			continue
		}
		for _, verb := range []string{"get", "post", "put", "patch", "delete"} {
			if path, ok := rule[verb]; ok {
				routes = append(routes, strings.ToUpper(verb)+" "+path)
			}
		}
	}
	return routes
}

// routes returns the function's routes by name of event; one without a path is $default.
func routes(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, event := range functions(t)["api"].Events {
		var p struct {
			APIID                string `yaml:"ApiId"`
			Method               string `yaml:"Method"`
			Path                 string `yaml:"Path"`
			PayloadFormatVersion string `yaml:"PayloadFormatVersion"`
		}
		if err := event.Properties.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if event.Type != "HttpApi" || p.APIID != "HttpApi" || p.PayloadFormatVersion != "2.0" {
			t.Errorf("event %s is %s of %q in the format %q", name, event.Type, p.APIID, p.PayloadFormatVersion)
		}
		all[name] = "$default"
		if p.Path != "" {
			all[name] = p.Method + " " + p.Path
		}
	}
	return all
}

var pathParameter = regexp.MustCompile(`\\\{[^}]*\\\}`)

// reaches reports whether the gateway sends what matches a route of the contract along
// a route of its own.
func reaches(route, wanted string) bool {
	pattern := pathParameter.ReplaceAllString(regexp.QuoteMeta(route), "[^/]+")
	return route == "$default" || regexp.MustCompile("^"+pattern+"$").MatchString(wanted)
}

func TestEveryMethodReachesTheFunctionInEveryProtocol(t *testing.T) {
	t.Parallel()
	deployed := routes(t)
	methods := contract(t)
	if len(methods) < 30 {
		t.Fatalf("the contract has %d methods", len(methods))
	}
	for method, ways := range methods {
		if len(ways) < 2 {
			t.Errorf("%s has no REST route", method)
		}
		for _, way := range ways {
			if !slices.ContainsFunc(slices.Collect(values(deployed)), func(route string) bool { return reaches(route, way) }) {
				t.Errorf("%s: nothing takes %s", method, way)
			}
		}
	}
	if deployed["Request"] != "$default" {
		t.Error("health, reflection and what is yet to come reach nothing")
	}
}

// sends reports whether a method may send a message: those of the contract that take a
// send_code or send one by themselves, whether they are served yet or not.
func sends(method string) bool {
	_, name, _ := strings.Cut(method, "Service.")
	return slices.Contains([]string{
		"CreateSession", "SetSession",
		"AddHumanUser", "CreateUser", "UpdateHumanUser", "UpdateUser",
		"SetEmail", "ResendEmailCode", "SendEmailCode", "SetPhone", "ResendPhoneCode",
		"PasswordReset", "CreateInviteCode", "ResendInviteCode", "CreatePasskeyRegistrationLink",
	}, name)
}

func TestWhatMaySendHasLimitsOfItsOwn(t *testing.T) {
	t.Parallel()
	var want []string
	for method, ways := range contract(t) {
		if sends(method) {
			want = append(want, ways...)
		}
	}
	slices.Sort(want)
	var own []string
	for _, route := range routes(t) {
		if route != "$default" {
			own = append(own, route)
		}
	}
	slices.Sort(own)
	if diff := cmp.Diff(want, own); diff != "" {
		t.Errorf("what may send (-), routes of their own (+):\n%s", diff)
	}
	limited := gateway(t).RouteSettings
	if diff := cmp.Diff(want, keys(limited)); diff != "" {
		t.Errorf("what may send (-), routes with limits (+):\n%s", diff)
	}
	for route, l := range limited {
		if l.Rate != "SendRateLimit" || l.Burst != "SendBurstLimit" {
			t.Errorf("%s has the limits %+v", route, l)
		}
	}
}

func TestWhatMaySendIsLimitedMoreThanTheRest(t *testing.T) {
	t.Parallel()
	s := load(t, app)
	for send, all := range map[string]string{"SendRateLimit": "RateLimit", "SendBurstLimit": "BurstLimit"} {
		if number(t, s.Parameters[send].Default) >= number(t, s.Parameters[all].Default) {
			t.Errorf("%s is no less than %s", send, all)
		}
	}
}
