package sns_test

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
	snssdk "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/notify/awstest"
	"github.com/stepup-auth/stepup/pkg/notify/sns"
)

const number = "+41446681800"

var message = notify.Rendered{
	Kind: notify.OTPSMS, Channel: notify.SMS, To: number, Code: "12345678",
	Text: "12345678 ist Ihr Anmeldecode für heute.\n@login.example.com #12345678",
}

// client is a real one, set up to retry a lot, which the sender must not let it.
func client(url string, transport http.RoundTripper) *snssdk.Client {
	return snssdk.New(snssdk.Options{
		BaseEndpoint:     aws.String(url),
		Region:           "eu-west-1",
		Credentials:      credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:       &http.Client{Transport: transport},
		RetryMaxAttempts: 10,
	})
}

// sender returns one on a server of its own.
func sender(t *testing.T, o sns.Options) (*sns.Sender, *awstest.Server) {
	t.Helper()
	server := awstest.Start(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return must(t, client(server.URL, transport), o), server
}

func must(t *testing.T, c sns.Client, o sns.Options) *sns.Sender {
	t.Helper()
	s, err := sns.New(c, o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s
}

func TestTextMessageLeavesAsTransactional(t *testing.T) {
	t.Parallel()
	s, server := sender(t, sns.Options{})
	receipt, err := s.Send(t.Context(), message)
	if want := (notify.Receipt{Provider: "sns", MessageID: "sms-1"}); err != nil || receipt != want {
		t.Errorf("Send = %v, %v; want %v", receipt, err, want)
	}
	want := []awstest.SMS{{
		PhoneNumber: number, Message: message.Text, MessageID: "sms-1",
		Attributes: map[string]string{"AWS.SNS.SMS.SMSType": "String:Transactional"},
	}}
	if diff := cmp.Diff(want, server.SMS()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestOptionsTravelAsAttributes(t *testing.T) {
	t.Parallel()
	s, server := sender(t, sns.Options{SenderID: "STEPUP", OriginationNumber: "+12065550100", MaxPrice: 0.05})
	if _, err := s.Send(t.Context(), message); err != nil {
		t.Fatalf("Send: %v", err)
	}
	want := map[string]string{
		"AWS.SNS.SMS.SMSType":          "String:Transactional",
		"AWS.SNS.SMS.SenderID":         "String:STEPUP",
		"AWS.SNS.SMS.MaxPrice":         "Number:0.05",
		"AWS.MM.SMS.OriginationNumber": "String:+12065550100",
	}
	if diff := cmp.Diff(want, server.SMS()[0].Attributes); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestRefusalsBecomeFaultsAndAreNotRepeated(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer awstest.Answer
		want   *fault.Fault
	}{
		{"opted out", awstest.OptedOut(), notify.ErrSMSOptedOut},
		{"opted out by another name", awstest.Refuse(400, "OptedOutException", "no"), notify.ErrSMSOptedOut},
		{"opted out as a parameter", awstest.Refuse(400, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: opted out"), notify.ErrSMSOptedOut},
		{"bad number", awstest.BadNumber(), notify.ErrSMSNumber},
		{"bad number by another name", awstest.Refuse(400, "ParameterValueInvalid", "the phone number "+number), notify.ErrSMSNumber},
		{"bad attribute", awstest.Refuse(400, "InvalidParameter", "Invalid parameter: MessageAttributes Reason: AWS.SNS.SMS.SenderID"), notify.ErrSMSUnavailable},
		{"sandbox", awstest.Sandbox(), notify.ErrSMSUnavailable},
		{"no permission", awstest.Denied(), notify.ErrSMSUnavailable},
		{"expired credentials", awstest.Refuse(403, "ExpiredToken", "The security token is expired"), notify.ErrSMSUnavailable},
		{"spent budget", awstest.Refuse(400, "MonthlySpendLimitReached", "No quota left for account"), notify.ErrSMSUnavailable},
		{"page of a proxy", awstest.Refuse(403, "", ""), notify.ErrSMSUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, sns.Options{})
			server.Script(tt.answer)
			receipt, err := s.Send(t.Context(), message)
			if !errors.Is(err, tt.want) || receipt != (notify.Receipt{}) {
				t.Errorf("Send = %v, %v; want %v", receipt, err, tt.want)
			}
			if server.Requests() != 1 || len(server.SMS()) != 0 {
				t.Errorf("%d requests and %d messages, want 1 and 0", server.Requests(), len(server.SMS()))
			}
		})
	}
}

func TestR2_Issue7186_LostAnswersAreNotRepeatedBecauseTheMessageMayHaveLeft(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		answer awstest.Answer
		taken  int
	}{
		{"connection broken after the message was taken", awstest.Lose(), 1},
		{"answer that is none", awstest.Garble(), 1},
		{"answer that names no message", awstest.Refuse(200, "", ""), 0},
		{"defect in SNS", awstest.ServerError(), 0},
		{"service unavailable", awstest.Refuse(503, "ServiceUnavailable", "try later"), 0},
		{"gateway without words", awstest.Refuse(502, "", ""), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, sns.Options{})
			server.Script(tt.answer)
			_, err := s.Send(t.Context(), message)
			if !errors.Is(err, notify.ErrSMSUnconfirmed) {
				t.Errorf("Send = %v, want %v", err, notify.ErrSMSUnconfirmed)
			}
			if server.Requests() != 1 || len(server.SMS()) != tt.taken {
				t.Errorf("%d requests and %d messages, want 1 and %d", server.Requests(), len(server.SMS()), tt.taken)
			}
		})
	}
}

func TestThrottledRequestsAreRepeatedAFewTimes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		answers  []awstest.Answer
		requests int
		sent     int
	}{
		{"once", []awstest.Answer{awstest.Throttled()}, 2, 1},
		{"in every way there is", []awstest.Answer{awstest.Refuse(400, "Throttling", "Rate exceeded"), awstest.Refuse(503, "ThrottlingException", "Rate exceeded")}, 3, 1},
		{"always", []awstest.Answer{awstest.Throttled(), awstest.Throttled(), awstest.Throttled(), awstest.Throttled()}, 3, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, server := sender(t, sns.Options{})
			server.Script(tt.answers...)
			_, err := s.Send(t.Context(), message)
			if tt.sent == 1 && err != nil || tt.sent == 0 && (!errors.Is(err, notify.ErrSMSUnavailable) || fault.From(err).RetryAfter != time.Second) {
				t.Errorf("Send = %v, want %d sent", err, tt.sent)
			}
			if server.Requests() != tt.requests || len(server.SMS()) != tt.sent {
				t.Errorf("%d requests and %d messages, want %d and %d", server.Requests(), len(server.SMS()), tt.requests, tt.sent)
			}
		})
	}
}

func TestAnswerLostAfterAThrottleEndsTheSend(t *testing.T) {
	t.Parallel()
	s, server := sender(t, sns.Options{})
	server.Script(awstest.Throttled(), awstest.Lose())
	if _, err := s.Send(t.Context(), message); !errors.Is(err, notify.ErrSMSUnconfirmed) || len(server.SMS()) != 1 {
		t.Errorf("Send = %v with %d messages, want ErrSMSUnconfirmed and 1", err, len(server.SMS()))
	}
}

// dials returns a transport whose first connections fail, and their number.
func dials(t *testing.T, failing int32) (*http.Transport, *atomic.Int32) {
	t.Helper()
	var count atomic.Int32
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if count.Add(1) <= failing {
			return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("connection refused")}
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport, &count
}

func TestRequestsThatGotNoConnectionAreRepeated(t *testing.T) {
	t.Parallel()
	server := awstest.Start(t)
	transport, count := dials(t, 2)
	if _, err := must(t, client(server.URL, transport), sns.Options{}).Send(t.Context(), message); err != nil {
		t.Errorf("Send: %v", err)
	}
	if server.Requests() != 1 || len(server.SMS()) != 1 || count.Load() != 3 {
		t.Errorf("%d requests, %d messages, %d connections; want 1, 1, 3", server.Requests(), len(server.SMS()), count.Load())
	}
}

func TestSendWithoutConnectionSurelySentNothing(t *testing.T) {
	t.Parallel()
	server := awstest.Start(t)
	transport, count := dials(t, 100)
	_, err := must(t, client(server.URL, transport), sns.Options{}).Send(t.Context(), message)
	if !errors.Is(err, notify.ErrSMSUnavailable) || count.Load() != 3 {
		t.Errorf("Send = %v after %d connections, want ErrSMSUnavailable after 3", err, count.Load())
	}
}

func TestSendWithoutCredentialsSurelySentNothing(t *testing.T) {
	t.Parallel()
	server := awstest.Start(t)
	transport, count := dials(t, 0)
	c := snssdk.New(snssdk.Options{
		BaseEndpoint: aws.String(server.URL), Region: "eu-west-1", HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no credentials")
		}),
	})
	_, err := must(t, c, sns.Options{}).Send(t.Context(), message)
	if !errors.Is(err, notify.ErrSMSUnavailable) || count.Load() != 0 {
		t.Errorf("Send = %v after %d connections, want ErrSMSUnavailable after none", err, count.Load())
	}
}

// pipes returns a transport into the void: what is written is read and never answered.
// It is for tests in a bubble with a clock of their own, where there is no network.
func pipes() *http.Transport {
	return &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, there) }()
		return here, nil
	}}
}

func TestSendGivesUpAfterItsTimeout(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		timeout time.Duration
		want    time.Duration
	}{
		{"its own", 700 * time.Millisecond, 700 * time.Millisecond},
		{"the default", 0, sns.DefaultTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				transport := pipes()
				defer transport.CloseIdleConnections()
				start := time.Now()
				_, err := must(t, client("http://sns.invalid", transport), sns.Options{Timeout: tt.timeout}).Send(t.Context(), message)
				if took := time.Since(start); !errors.Is(err, notify.ErrSMSUnconfirmed) || took != tt.want {
					t.Errorf("Send = %v after %v, want ErrSMSUnconfirmed after %v", err, took, tt.want)
				}
			})
		})
	}
}

func TestTimeoutBeforeAConnectionSurelySentNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		testOver := make(chan struct{})
		defer synctest.Wait()
		defer close(testOver)
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			<-testOver
			return nil, errors.New("too late")
		}}
		_, err := must(t, client("http://sns.invalid", transport), sns.Options{}).Send(t.Context(), message)
		if !errors.Is(err, notify.ErrSMSUnavailable) {
			t.Errorf("Send = %v, want ErrSMSUnavailable", err)
		}
	})
}

func TestCallerWhoLeavesEndsTheSend(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		transport := pipes()
		defer transport.CloseIdleConnections()
		s := must(t, client("http://sns.invalid", transport), sns.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := s.Send(ctx, message)
		if took := time.Since(start); !errors.Is(err, notify.ErrSMSUnconfirmed) || took != time.Second {
			t.Errorf("Send = %v after %v, want ErrSMSUnconfirmed after a second", err, took)
		}
		if _, err := s.Send(ctx, message); !errors.Is(err, notify.ErrSMSUnavailable) {
			t.Errorf("Send for a caller who has left = %v, want ErrSMSUnavailable", err)
		}
	})
}

// TestG2_… proves a row of the security bar. SNS repeats the number in its errors.
func TestG2_CausesSayWhatHappenedWithoutTheNumber(t *testing.T) {
	t.Parallel()
	for code, answer := range map[string]awstest.Answer{
		"OptedOut": awstest.OptedOut(), "InvalidParameter": awstest.BadNumber(), "UserError": awstest.Sandbox(), "AuthorizationError": awstest.Denied(),
		"InternalError": awstest.ServerError(),
	} {
		s, server := sender(t, sns.Options{})
		server.Script(answer)
		_, err := s.Send(t.Context(), message)
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if strings.Contains(cause.Error(), "446681800") || strings.Contains(cause.Error(), message.Code) {
				t.Errorf("%s: the cause tells who got what: %v", code, cause)
			}
		}
		if !strings.Contains(err.Error(), code) || !strings.Contains(err.Error(), "request-1") {
			t.Errorf("the cause %q lacks the code %s or the id of the request", err, code)
		}
		if strings.Contains(fault.From(err).Message(), code) {
			t.Errorf("the client is told %q", fault.From(err).Message())
		}
	}
}

func TestMailIsNotSentAsAText(t *testing.T) {
	t.Parallel()
	s, server := sender(t, sns.Options{})
	m := message
	m.Channel = notify.Email
	if _, err := s.Send(t.Context(), m); !errors.Is(err, notify.ErrMessage) || server.Requests() != 0 {
		t.Errorf("Send = %v after %d requests, want ErrMessage after none", err, server.Requests())
	}
}

func TestBadOptionsAreNamed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		field string
		opts  sns.Options
	}{
		{"SenderID", sns.Options{SenderID: "12345"}},
		{"SenderID", sns.Options{SenderID: "ABCDEFGHIJKL"}},
		{"SenderID", sns.Options{SenderID: "STEP UP"}},
		{"OriginationNumber", sns.Options{OriginationNumber: "0446681800"}},
		{"MaxPrice", sns.Options{MaxPrice: -0.01}},
		{"MaxPrice", sns.Options{MaxPrice: 50}},
		{"Timeout", sns.Options{Timeout: -time.Second}},
	}
	for _, tt := range tests {
		if s, err := sns.New(client("http://sns.invalid", nil), tt.opts); err == nil || s != nil || !strings.Contains(err.Error(), "option "+tt.field+" ") {
			t.Errorf("New(%+v) = %v, want an error that names %s", tt.opts, err, tt.field)
		}
	}
	if err := (sns.Options{SenderID: "A", OriginationNumber: "+12065550100", MaxPrice: 1, Timeout: time.Second}).Validate(); err != nil {
		t.Errorf("Validate of good options = %v", err)
	}
}

func TestManySendAtOnce(t *testing.T) {
	t.Parallel()
	s, server := sender(t, sns.Options{})
	const many = 20
	failed := make(chan error, many)
	for range many {
		go func() {
			_, err := s.Send(t.Context(), message)
			failed <- err
		}()
	}
	for range many {
		if err := <-failed; err != nil {
			t.Errorf("Send: %v", err)
		}
	}
	if got := len(server.SMS()); got != many {
		t.Errorf("%d messages, want %d", got, many)
	}
}
