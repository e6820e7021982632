package ses_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/awstest"
	"github.com/stepup-auth/stepup/pkg/notify/ses"
)

const address = "mini@mouse.example.com"

var message = notify.Rendered{
	Kind: notify.OTPEmail, Channel: notify.Email, To: address, Code: "12345678",
	Subject: "Ihr Anmeldecode für login.example.com", Text: "12345678 für Sie", HTML: "<p>12345678 für Sie</p>",
}

// client is a real one, set up to retry a lot, which the sender must not let it.
func client(url string, transport http.RoundTripper) *sesv2.Client {
	return sesv2.New(sesv2.Options{
		BaseEndpoint:     aws.String(url),
		Region:           "eu-west-1",
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: 10,
	})
}

// sender returns one on a server of its own, whose first connections fail.
func sender(t *testing.T, o ses.Options, failing int32) (*ses.Sender, *awstest.Server) {
	t.Helper()
	server := awstest.Start(t)
	var count atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if count.Add(1) <= failing {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	if o.From == "" {
		o.From = "login@example.com"
	}
	s, err := ses.New(client(server.URL, transport), o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s, server
}

func TestMailLeavesWithBothTextsAndWithoutTracking(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{}, 0)
	receipt, err := s.Send(t.Context(), message)
	if want := (notify.Receipt{Provider: "ses", MessageID: "mail-1"}); err != nil || receipt != want {
		t.Errorf("Send = %v, %v; want %v", receipt, err, want)
	}
	want := []awstest.Mail{{
		From: "login@example.com", To: []string{address}, Subject: message.Subject, Text: message.Text, HTML: message.HTML,
		OpenTracking: "DISABLED", ClickTracking: "DISABLED", MessageID: "mail-1",
	}}
	if diff := cmp.Diff(want, server.Mails()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func TestOptionsTravel(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{From: "Example <login@example.com>", ReplyTo: "help@example.com", ConfigurationSet: "stepup"}, 0)
	if _, err := s.Send(t.Context(), message); err != nil {
		t.Fatalf("Send: %v", err)
	}
	got := server.Mails()[0]
	if got.From != "Example <login@example.com>" || !cmp.Equal(got.ReplyTo, []string{"help@example.com"}) || got.ConfigurationSet != "stepup" {
		t.Errorf("mail = %+v", got)
	}
}

func TestNamesBeyondASCIIAreEncoded(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{From: "Müller <login@example.com>", ReplyTo: "Hilfe für Sie <help@example.com>"}, 0)
	if _, err := s.Send(t.Context(), message); err != nil {
		t.Fatalf("Send: %v", err)
	}
	got := server.Mails()[0]
	if got.From != "=?utf-8?q?M=C3=BCller?= <login@example.com>" || !cmp.Equal(got.ReplyTo, []string{"=?utf-8?q?Hilfe_f=C3=BCr_Sie?= <help@example.com>"}) {
		t.Errorf("from %q, reply to %q", got.From, got.ReplyTo)
	}
}

func TestRefusalsBecomeFaultsAndAreNotRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer awstest.Answer
		want   *fault.Fault
	}{
		{"identity not verified", awstest.Rejected(), notify.ErrEmailUnavailable},
		{"domain not verified", awstest.Refuse(400, "MailFromDomainNotVerifiedException", "the MAIL FROM domain is not verified"), notify.ErrEmailUnavailable},
		{"sending paused", awstest.Refuse(400, "SendingPausedException", "paused"), notify.ErrEmailUnavailable},
		{"account suspended", awstest.Refuse(400, "AccountSuspendedException", "suspended"), notify.ErrEmailUnavailable},
		{"quota of the day", awstest.Refuse(400, "LimitExceededException", "Daily message quota exceeded."), notify.ErrEmailUnavailable},
		{"no configuration set", awstest.Refuse(404, "NotFoundException", "Configuration set does not exist."), notify.ErrEmailUnavailable},
		{"no permission", awstest.Refuse(403, "AccessDeniedException", "not authorized to send as domain example.com"), notify.ErrEmailUnavailable},
		{"bad address", awstest.Refuse(400, "BadRequestException", "Illegal address"), notify.ErrEmailAddress},
		{"bad domain of an address", awstest.Refuse(400, "BadRequestException", "Missing final '@domain'"), notify.ErrEmailAddress},
		{"bad request", awstest.Refuse(400, "BadRequestException", "Content is missing"), notify.ErrEmailUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, ses.Options{}, 0)
			server.Script(tt.answer)
			receipt, err := s.Send(t.Context(), message)
			if !errors.Is(err, tt.want) || receipt != (notify.Receipt{}) || fault.From(err).RetryAfter != 0 {
				t.Errorf("Send = %v, %v; want %v", receipt, err, tt.want)
			}
			if server.Requests() != 1 || len(server.Mails()) != 0 {
				t.Errorf("%d requests and %d mails, want 1 and 0", server.Requests(), len(server.Mails()))
			}
		})
	}
}

func TestR2_Issue7186_LostAnswersAreNotRepeatedBecauseTheMailMayHaveLeft(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer awstest.Answer
		taken  int
	}{
		{"connection broken after the mail was taken", awstest.Lose(), 1},
		{"answer that is none", awstest.Garble(), 1},
		{"answer that names no message", awstest.Refuse(200, "", ""), 0},
		{"defect in SES", awstest.Refuse(500, "InternalServiceErrorException", "We are sorry"), 0},
		{"gateway without words", awstest.Refuse(504, "", ""), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, ses.Options{}, 0)
			server.Script(tt.answer)
			_, err := s.Send(t.Context(), message)
			if !errors.Is(err, notify.ErrEmailUnconfirmed) {
				t.Errorf("Send = %v, want %v", err, notify.ErrEmailUnconfirmed)
			}
			if server.Requests() != 1 || len(server.Mails()) != tt.taken {
				t.Errorf("%d requests and %d mails, want 1 and %d", server.Requests(), len(server.Mails()), tt.taken)
			}
		})
	}
}

func TestCallerWhoLeavesEndsTheSend(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{Timeout: time.Minute}, 0)
	server.Script(awstest.Hang())
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-server.Hanging()
		cancel()
	}()
	if _, err := s.Send(ctx, message); !errors.Is(err, notify.ErrEmailUnconfirmed) {
		t.Errorf("Send = %v, want ErrEmailUnconfirmed", err)
	}
	if _, err := s.Send(ctx, message); !errors.Is(err, notify.ErrEmailUnavailable) || server.Requests() != 1 {
		t.Errorf("Send for a caller who has left = %v after %d requests, want ErrEmailUnavailable after 1", err, server.Requests())
	}
}

func TestSendGivesUpAfterItsTimeout(t *testing.T) {
	t.Parallel()
	for timeout, want := range map[time.Duration]time.Duration{time.Second: time.Second, 0: ses.DefaultTimeout} {
		synctest.Test(t, func(t *testing.T) {
			// There is no network in the bubble: what is written into the pipe is read,
			// and never answered.
			transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
				here, there := net.Pipe()
				go func() { _, _ = io.Copy(io.Discard, there) }()
				return here, nil
			}}
			defer transport.CloseIdleConnections()
			s, err := ses.New(client("http://ses.invalid", transport), ses.Options{From: "login@example.com", Timeout: timeout})
			if err != nil {
				t.Fatalf("New: %v", err)
			}
			start := time.Now()
			_, err = s.Send(t.Context(), message)
			if took := time.Since(start); !errors.Is(err, notify.ErrEmailUnconfirmed) || took != want {
				t.Errorf("Send = %v after %v, want ErrEmailUnconfirmed after %v", err, took, want)
			}
		})
	}
}

func TestWhatSurelyDidNotLeaveIsRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name           string
		failing        int32 // connections
		answers        []awstest.Answer
		requests, sent int
		wait           time.Duration
	}{
		{"throttled once", 0, []awstest.Answer{awstest.TooManyRequests()}, 2, 1, 0},
		{"throttled always", 0, []awstest.Answer{awstest.TooManyRequests(), awstest.TooManyRequests(), awstest.TooManyRequests()}, 3, 0, time.Second},
		{"two connections fail", 2, nil, 1, 1, 0},
		{"every connection fails", 100, nil, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, ses.Options{}, tt.failing)
			server.Script(tt.answers...)
			_, err := s.Send(t.Context(), message)
			if tt.sent == 1 && err != nil || tt.sent == 0 && (!errors.Is(err, notify.ErrEmailUnavailable) || fault.From(err).RetryAfter != tt.wait) {
				t.Errorf("Send = %v, want %d sent", err, tt.sent)
			}
			if server.Requests() != tt.requests || len(server.Mails()) != tt.sent {
				t.Errorf("%d requests and %d mails, want %d and %d", server.Requests(), len(server.Mails()), tt.requests, tt.sent)
			}
		})
	}
}

// TestG2_… proves a row of the security bar. SES repeats addresses in its errors.
func TestG2_CausesSayWhatHappenedWithoutTheAddress(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{}, 0)
	server.Script(awstest.Rejected())
	_, err := s.Send(t.Context(), message)
	for cause := err; cause != nil; cause = errors.Unwrap(cause) {
		if strings.Contains(cause.Error(), "mouse") || strings.Contains(cause.Error(), message.Code) {
			t.Errorf("the cause tells who got what: %v", cause)
		}
	}
	if !strings.Contains(err.Error(), "MessageRejected") || !strings.Contains(err.Error(), "request-1") {
		t.Errorf("the cause %q lacks the code or the id of the request", err)
	}
	if got := fault.From(err).Message(); strings.Contains(got, "Rejected") {
		t.Errorf("the client is told %q", got)
	}
}

func TestTextMessageIsNotSentAsMail(t *testing.T) {
	t.Parallel()
	s, server := sender(t, ses.Options{}, 0)
	m := message
	m.Channel = notify.SMS
	if _, err := s.Send(t.Context(), m); !errors.Is(err, notify.ErrMessage) || server.Requests() != 0 {
		t.Errorf("Send = %v after %d requests, want ErrMessage after none", err, server.Requests())
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	t.Parallel()
	const good = "login@example.com"
	tests := []struct {
		field string
		opts  ses.Options
	}{
		{"From", ses.Options{}},
		{"From", ses.Options{From: "login"}},
		{"From", ses.Options{From: "login@example.com\r\nBcc: all@example.com"}},
		{"ReplyTo", ses.Options{From: good, ReplyTo: "help"}},
		{"ConfigurationSet", ses.Options{From: good, ConfigurationSet: "a set"}},
		{"ConfigurationSet", ses.Options{From: good, ConfigurationSet: strings.Repeat("a", 65)}},
		{"Timeout", ses.Options{From: good, Timeout: -time.Second}},
	}
	for _, tt := range tests {
		if s, err := ses.New(client("http://ses.invalid", nil), tt.opts); err == nil || s != nil || !strings.Contains(err.Error(), "option "+tt.field+" ") {
			t.Errorf("New(%+v) = %v, want an error that names %s", tt.opts, err, tt.field)
		}
	}
	if err := (ses.Options{From: good, ReplyTo: "Help <help@example.com>", ConfigurationSet: "a_set-1" + strings.Repeat("a", 57), Timeout: time.Second}).Validate(); err != nil {
		t.Errorf("Validate of good options = %v", err)
	}
}
