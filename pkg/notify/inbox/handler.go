package inbox

import (
	"encoding/json"
	"net/http"
	"time"
)

// Path is where a laptop serves the inbox.
const Path = "/dev/inbox"

// listing is the JSON of the inbox.
type listing struct {
	Messages []entry `json:"messages"`
}

type entry struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"`
	Channel string    `json:"channel"`
	To      string    `json:"to"`
	Subject string    `json:"subject,omitempty"`
	Text    string    `json:"text"`
	HTML    string    `json:"html,omitempty"`
	Code    string    `json:"code,omitempty"`
	SentAt  time.Time `json:"sentAt"`
}

// ServeHTTP answers GET with {"messages": […]}, newest first, each with id, kind,
// channel, to, subject, text, html, code and sentAt (RFC 3339, UTC); what is empty in
// a text message is left out.
func (b *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "the inbox is read with GET", http.StatusMethodNotAllowed)
		return
	}
	out := listing{Messages: []entry{}}
	for _, m := range b.Messages() {
		out.Messages = append(out.Messages, entry{
			ID: m.ID, Kind: string(m.Kind), Channel: string(m.Channel), To: m.To, Subject: m.Subject,
			Text: m.Text, HTML: m.HTML, Code: m.Code, SentAt: m.SentAt.UTC(),
		})
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, "the inbox cannot be written as JSON", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(body)
}
