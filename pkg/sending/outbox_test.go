package sending_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/sending"
)

func TestMessageTellsNobodyItsCodeOrItsAddress(t *testing.T) {
	t.Parallel()
	m := sending.Message{Purpose: sending.OTPSMS, Channel: sending.SMS, To: "+41791234567", Code: "13572468", CodeID: "secret-id"}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("sent", "message", m, "messages", []sending.Message{m})
	for form, got := range map[string]string{
		"%v": fmt.Sprintf("%v", m), "%+v": fmt.Sprintf("%+v", &m), "%#v": fmt.Sprintf("%#v", m),
		"%d in a list": fmt.Sprintf("%d", []sending.Message{m}), "a line of JSON": logged.String(),
	} {
		if !strings.Contains(got, "otp-sms") {
			t.Errorf("%s does not say what the message is for: %s", form, got)
		}
		for _, secret := range []string{m.To, m.Code, m.CodeID} {
			if strings.Contains(got, secret) {
				t.Errorf("%s tells %s", form, got)
			}
		}
	}
}
