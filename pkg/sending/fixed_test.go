package sending_test

import (
	"testing"

	"github.com/stepup-auth/stepup/pkg/sending"
)

func TestAFixedCodeIsFoundWhateverTheCapitals(t *testing.T) {
	t.Parallel()
	codes := sending.FixedCodes{"test@example.com": "87654321", "+15005550006": "12345678"}
	for address, want := range map[string]string{
		"test@example.com": "87654321", "Test@EXAMPLE.com": "87654321", "+15005550006": "12345678",
		"other@example.com": "", "test@example.com.evil.example": "", "+15005550007": "", "": "",
	} {
		if code, ok := codes.Code(address); code != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", address, code, ok)
		}
	}
	if _, ok := sending.FixedCodes(nil).Code("test@example.com"); ok {
		t.Error("none has a code")
	}
}

func TestAMessageToAFixedCodeIsNeitherCountedNorKept(t *testing.T) {
	t.Parallel()
	p := sending.Policy{Prefixes: []string{"+41"}, Fixed: sending.FixedCodes{"+15005550006": "12345678"}}
	var o sending.Outbox
	for range 2 {
		if denied := o.Add(sending.Message{Channel: sending.SMS, To: "+15005550006"}, p, sending.Usage{NextAt: noon.AddDate(1, 0, 0)}, noon); denied != nil {
			t.Error(denied)
		}
	}
	if denied := o.Add(sending.Message{Channel: sending.SMS, To: "+15005550007"}, p, sending.Usage{}, noon); denied != sending.ErrPrefix {
		t.Errorf("another number: %v", denied)
	}
	if len(o.Sends)+len(o.Due())+len(o.Subjects()) != 0 {
		t.Errorf("the outbox holds %+v", o)
	}
}
