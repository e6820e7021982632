package awstest

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

const (
	snsNamespace = "http://sns.amazonaws.com/doc/2010-03-31/"
	maxMessage   = 1600 // characters of a text message
)

// OptedOut is SNS refusing a number whose owner wants no messages.
func OptedOut() Answer {
	return Refuse(http.StatusBadRequest, "OptedOut", "The phone number +41446681800 has opted out")
}

// BadNumber is SNS refusing a number that is none.
func BadNumber() Answer {
	return Refuse(http.StatusBadRequest, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: +41446681800 is not valid to publish to")
}

// Throttled is SNS asked too often.
func Throttled() Answer { return Refuse(http.StatusTooManyRequests, "Throttled", "Rate exceeded") }

// Sandbox is SNS refusing a number that the account has not verified yet.
func Sandbox() Answer {
	return Refuse(http.StatusBadRequest, "UserError", "The number +41446681800 is not a verified destination of the SMS sandbox")
}

// Denied is SNS refusing a role without the permission.
func Denied() Answer {
	return Refuse(http.StatusForbidden, "AuthorizationError", "arn:aws:sts::123456789012:assumed-role/api is not authorized to perform SNS:Publish on resource +41446681800")
}

// ServerError is a defect in SNS, after which nobody knows.
func ServerError() Answer {
	return Refuse(http.StatusInternalServerError, "InternalError", "We are sorry")
}

var e164 = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)

// publish answers the Query protocol: a form goes in, XML comes out.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) {
	answer, number := s.next()
	if err := r.ParseForm(); err != nil {
		answer = Refuse(http.StatusBadRequest, "MalformedQueryString", err.Error())
	}
	sms := SMS{
		PhoneNumber: r.PostForm.Get("PhoneNumber"), Message: r.PostForm.Get("Message"),
		Attributes: attributes(r), MessageID: fmt.Sprintf("sms-%d", number),
	}
	if problem, ok := refuseSMS(r, sms); ok {
		answer = problem
	}
	if answer.take {
		s.mu.Lock()
		s.sms = append(s.sms, sms)
		s.mu.Unlock()
	}
	switch {
	case answer.act != nil:
		answer.act(s, w, r)
	case answer.take:
		writeXML(w, http.StatusOK, published{
			Namespace: snsNamespace, MessageID: sms.MessageID, RequestID: fmt.Sprintf("request-%d", number),
		})
	default:
		writeXML(w, answer.status, refusal{
			Namespace: snsNamespace, Type: "Sender", Code: answer.code, Message: answer.message,
			RequestID: fmt.Sprintf("request-%d", number),
		})
	}
}

// refuseSMS returns what SNS has against the request, if anything.
func refuseSMS(r *http.Request, sms SMS) (Answer, bool) {
	switch {
	case !signedFor(r, "sns"):
		return Refuse(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"), true
	case r.PostForm.Get("Action") != "Publish" || r.PostForm.Get("Version") != "2010-03-31":
		return Refuse(http.StatusBadRequest, "InvalidAction", "The action is not known"), true
	case !e164.MatchString(sms.PhoneNumber):
		return Refuse(http.StatusBadRequest, "InvalidParameter", "Invalid parameter: PhoneNumber Reason: "+sms.PhoneNumber+" is not valid to publish to"), true
	case strings.TrimSpace(sms.Message) == "":
		return Refuse(http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Empty message"), true
	case len([]rune(sms.Message)) > maxMessage:
		return Refuse(http.StatusBadRequest, "InvalidParameter", "Invalid parameter: Message too long"), true
	default:
		return Answer{}, false
	}
}

// attributes reads the numbered entries of the form.
func attributes(r *http.Request) map[string]string {
	found := map[string]string{}
	for i := 1; ; i++ {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i)
		name := r.PostForm.Get(entry + "Name")
		if name == "" {
			return found
		}
		found[name] = r.PostForm.Get(entry+"Value.DataType") + ":" + r.PostForm.Get(entry+"Value.StringValue")
	}
}

type published struct {
	XMLName   xml.Name `xml:"PublishResponse"`
	Namespace string   `xml:"xmlns,attr"`
	MessageID string   `xml:"PublishResult>MessageId"`
	RequestID string   `xml:"ResponseMetadata>RequestId"`
}

type refusal struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Type      string   `xml:"Error>Type"`
	Code      string   `xml:"Error>Code"`
	Message   string   `xml:"Error>Message"`
	RequestID string   `xml:"RequestId"`
}

func writeXML(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(body)
}
