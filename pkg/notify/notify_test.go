package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
)

// recorder is a sender that keeps what it gets, under a name of its own.
type recorder struct {
	name string
	sent []notify.Rendered
	err  error
}

func (r *recorder) Send(_ context.Context, m notify.Rendered) (notify.Receipt, error) {
	r.sent = append(r.sent, m)
	return notify.Receipt{Provider: r.name, MessageID: "1"}, r.err
}

func TestEveryKindHasAChannel(t *testing.T) {
	t.Parallel()
	want := map[notify.Kind]notify.Channel{
		notify.OTPSMS: notify.SMS, notify.VerifyPhone: notify.SMS, notify.OTPEmail: notify.Email, notify.VerifyEmail: notify.Email,
		notify.RegisterPasskey: notify.Email,
	}
	got := map[notify.Kind]notify.Channel{}
	for _, kind := range notify.Kinds() {
		got[kind] = kind.Channel()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
	if got := notify.Kind("voice").Channel(); got != "" {
		t.Errorf("the channel of an unknown kind is %q", got)
	}
}

func TestNotifierSendsWhatWasRenderedOnItsChannel(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, kind := range notify.Kinds() {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			senders := map[notify.Channel]*recorder{notify.SMS: {name: "sms"}, notify.Email: {name: "email"}}
			n := notify.Notifier{Renderer: r, Sender: notify.Router{SMS: senders[notify.SMS], Email: senders[notify.Email]}}
			receipt, err := n.Notify(t.Context(), message(kind))
			want := notify.Receipt{Provider: string(kind.Channel()), MessageID: "1"}
			if err != nil || receipt != want {
				t.Errorf("Notify = %v, %v; want %v", receipt, err, want)
			}
			if diff := cmp.Diff([]notify.Rendered{render(t, r, message(kind))}, senders[kind.Channel()].sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotifierSendsNothingThatCannotBeRendered(t *testing.T) {
	t.Parallel()
	sender := &recorder{}
	m := message(notify.OTPSMS)
	m.To = "0446681800"
	_, err := notify.Notifier{Renderer: renderer(t, nil), Sender: sender}.Notify(t.Context(), m)
	if !errors.Is(err, notify.ErrSMSNumber) || len(sender.sent) != 0 {
		t.Errorf("Notify = %v with %d sent; want ErrSMSNumber and none", err, len(sender.sent))
	}
}

func TestChannelWithoutSenderIsUnavailable(t *testing.T) {
	t.Parallel()
	tests := map[notify.Channel]*fault.Fault{
		notify.SMS: notify.ErrSMSUnavailable, notify.Email: notify.ErrEmailUnavailable, "": notify.ErrMessage, "voice": notify.ErrMessage,
	}
	for channel, want := range tests {
		if _, err := (notify.Router{}).Send(t.Context(), notify.Rendered{Channel: channel}); !errors.Is(err, want) {
			t.Errorf("Send on %q = %v, want %v", channel, err, want)
		}
	}
}

// TestG2_… proves a row of the security bar: nothing of a message is readable where
// messages are logged or formatted.
func TestG2_LoggedMessagesTellNeitherCodeNorAddressee(t *testing.T) {
	t.Parallel()
	r := renderer(t, nil)
	for _, kind := range notify.Kinds() {
		m := message(kind)
		rendered := render(t, r, m)
		var out bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(handler).Info("x", "message", m, "rendered", rendered, "pointer", &rendered)
		}
		fmt.Fprintf(&out, "%v %+v %s %v %+v %s %v", m, m, m, rendered, rendered, rendered, &rendered)
		for _, canary := range []string{m.To, m.Data.Code, "https://", "DISPLAYNAME", "LOGINNAME", "SESSIONID", "mouse"} {
			if strings.Contains(out.String(), canary) {
				t.Errorf("%s: %q is in the log:\n%s", kind, canary, out.String())
			}
		}
		if !strings.Contains(out.String(), string(kind)) {
			t.Errorf("%s: the log does not say the kind:\n%s", kind, out.String())
		}
	}
}

func TestMaskedAddressesAreRecognizedAndNotRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		mask func(string) string
		in   string
		want string
	}{
		{"number", notify.MaskPhone, "+41446681800", "+41***00"},
		{"American number", notify.MaskPhone, "+16502530000", "+16***00"},
		{"shortest number", notify.MaskPhone, "+4144668", "+41***68"},
		{"number too short to mask", notify.MaskPhone, "+414466", "***"},
		{"no number", notify.MaskPhone, "mini@mouse.example.com", "***"},
		{"number with spaces", notify.MaskPhone, "+41 44 668 18 00", "***"},
		{"nothing for a number", notify.MaskPhone, "", "***"},
		{"address", notify.MaskEmail, "mini@mouse.example.com", "m***@m***.com"},
		{"short address", notify.MaskEmail, "a@b.ch", "a***@b***.ch"},
		{"address on a host", notify.MaskEmail, "mini@localhost", "m***@***"},
		{"quoted address", notify.MaskEmail, `"a@b"@c.example`, `"***@c***.example`},
		{"address with an umlaut", notify.MaskEmail, "öl@über.example", "ö***@ü***.example"},
		{"no local part", notify.MaskEmail, "@mouse.example.com", "***"},
		{"no domain", notify.MaskEmail, "mini@", "m***@***"},
		{"no address", notify.MaskEmail, "+41446681800", "***"},
		{"two lines", notify.MaskEmail, "a@b.c\nx", "***"},
		{"broken text", notify.MaskEmail, "\xff@b.c", "***"},
		{"nothing for an address", notify.MaskEmail, "", "***"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.mask(tt.in); got != tt.want {
				t.Errorf("mask(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestRedactLeavesNoAddressInAProvidersWords(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"Invalid parameter: PhoneNumber Reason: +41446681800 is not valid to publish to": "Invalid parameter: PhoneNumber Reason: *** is not valid to publish to",
		"number 41446681800": "number ***",
		"Email address is not verified. The following identities failed the check in region EU-WEST-1: Mini Mouse <Mini@Mouse.example.com>, b@c.example": "Email address is not verified. The following identities failed the check in region EU-WEST-1: Mini Mouse <***@***>, ***@***",
		"operation error SNS: Publish, StatusCode: 500, dial tcp 127.0.0.1:43210: connection refused":                                                    "operation error SNS: Publish, StatusCode: 500, dial tcp 127.0.0.1:43210: connection refused",
	}
	for in, want := range tests {
		if got := notify.Redact(in); got != want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}
