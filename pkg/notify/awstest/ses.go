package awstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"strings"
)

// Rejected is SES refusing an identity that is not verified, which is what the sandbox
// looks like.
func Rejected() Answer {
	return Refuse(http.StatusBadRequest, "MessageRejected", "Email address is not verified. The following identities failed the check in region EU-WEST-1: mini@mouse.example.com")
}

// TooManyRequests is SES asked too often.
func TooManyRequests() Answer {
	return Refuse(http.StatusTooManyRequests, "TooManyRequestsException", "Maximum sending rate exceeded.")
}

// email is the request of SendEmail as far as it is used.
type email struct {
	From        string `json:"FromEmailAddress"`
	Destination struct {
		To []string `json:"ToAddresses"`
	} `json:"Destination"`
	ReplyTo          []string `json:"ReplyToAddresses"`
	ConfigurationSet string   `json:"ConfigurationSetName"`
	Content          struct {
		Simple *struct {
			Subject text `json:"Subject"`
			Body    struct {
				Text text `json:"Text"`
				HTML text `json:"Html"`
			} `json:"Body"`
		} `json:"Simple"`
	} `json:"Content"`
	Overrides struct {
		Tracking struct {
			Open  string `json:"OpenTrackingEnabled"`
			Click string `json:"ClickTrackingEnabled"`
		} `json:"Tracking"`
	} `json:"ConfigurationOverrides"`
}

type text struct {
	Data    string `json:"Data"`
	Charset string `json:"Charset"`
}

// sendEmail answers the REST protocol: JSON goes in, JSON comes out, the name of an
// error stands in a header.
func (s *Server) sendEmail(w http.ResponseWriter, r *http.Request) {
	answer, number := s.next()
	var in email
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		answer = Refuse(http.StatusBadRequest, "SerializationException", err.Error())
	} else if problem, ok := refuseMail(r, in); ok {
		answer = problem
	}
	id := fmt.Sprintf("mail-%d", number)
	if answer.take {
		s.mu.Lock()
		s.mails = append(s.mails, in.mail(id))
		s.mu.Unlock()
	}
	w.Header().Set("X-Amzn-Requestid", fmt.Sprintf("request-%d", number))
	switch {
	case answer.act != nil:
		answer.act(s, w, r)
	case answer.take:
		writeJSON(w, http.StatusOK, map[string]string{"MessageId": id})
	default:
		w.Header().Set("X-Amzn-Errortype", answer.code)
		writeJSON(w, answer.status, map[string]string{"message": answer.message})
	}
}

// refuseMail returns what SES has against the request, if anything.
func refuseMail(r *http.Request, in email) (Answer, bool) {
	switch {
	case !signedFor(r, "ses"):
		return Refuse(http.StatusForbidden, "MissingAuthenticationTokenException", "Missing Authentication Token"), true
	case in.Content.Simple == nil:
		return Refuse(http.StatusBadRequest, "BadRequestException", "Content is missing"), true
	case in.Content.Simple.Subject.Data == "" || strings.ContainsAny(in.Content.Simple.Subject.Data, "\r\n"):
		return Refuse(http.StatusBadRequest, "BadRequestException", "Subject is not one line"), true
	case len(in.Destination.To) == 0:
		return Refuse(http.StatusBadRequest, "BadRequestException", "Destination is missing"), true
	}
	for _, address := range append([]string{in.From}, in.Destination.To...) {
		if _, err := mail.ParseAddress(address); err != nil {
			return Refuse(http.StatusBadRequest, "BadRequestException", "Illegal address"), true
		}
	}
	return Answer{}, false
}

func (in email) mail(id string) Mail {
	return Mail{
		From: in.From, To: in.Destination.To, ReplyTo: in.ReplyTo,
		Subject: in.Content.Simple.Subject.utf8(), Text: in.Content.Simple.Body.Text.utf8(), HTML: in.Content.Simple.Body.HTML.utf8(),
		ConfigurationSet: in.ConfigurationSet,
		OpenTracking:     in.Overrides.Tracking.Open,
		ClickTracking:    in.Overrides.Tracking.Click,
		MessageID:        id,
	}
}

// utf8 returns the text as a reader sees it: without a character set SES sends 7 bits.
func (t text) utf8() string {
	if t.Charset == "UTF-8" {
		return t.Data
	}
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, t.Data)
}

func writeJSON(w http.ResponseWriter, status int, body map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // breaks the connection, which is what happened
	}
}
