package app

import (
	"context"
	"fmt"
	"os"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// messenger makes the domain's messages into rendered ones and sends them.
type messenger struct {
	renderer  *notify.Renderer
	sender    notify.Router
	site      string
	linkHosts []string
}

var _ sending.Messenger = (*messenger)(nil)

func newMessenger(c config.Config, sender notify.Router) (*messenger, error) {
	renderer, err := newRenderer(c.Templates)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_TEMPLATES: %w", err)
	}
	return &messenger{
		renderer:  renderer,
		sender:    sender,
		site:      c.Site,
		linkHosts: c.LinkHosts,
	}, nil
}

// newRenderer reads the operator's texts, if there is a folder of them. A link that
// leads out of the folder is refused.
func newRenderer(folder string) (*notify.Renderer, error) {
	if folder == "" {
		return notify.NewRenderer(nil)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close() //nolint:errcheck // nothing was written
	return notify.NewRenderer(root.FS())
}

// Accepts implements sending.Messenger.
func (m *messenger) Accepts(p sending.Purpose, urlTemplate string) error {
	_, err := notify.ParseURLTemplate(kindOf(p), urlTemplate, m.linkHosts)
	return err
}

// Carries implements sending.Messenger.
func (m *messenger) Carries(c sending.Channel) bool { return m.sender.Carries(notify.Channel(c)) }

// Deliver implements sending.Messenger.
func (m *messenger) Deliver(ctx context.Context, message sending.Message) error {
	link, err := m.link(message)
	if err != nil {
		return err
	}
	notifier := notify.Notifier{Renderer: m.renderer, Sender: m.sender}
	_, err = notifier.Notify(ctx, notify.Message{
		ID: message.ID, Kind: kindOf(message.Purpose), To: message.To, Language: message.Language,
		Data: notify.Data{
			Code: message.Code, URL: link, Domain: m.site, Expiry: message.Expiry, UserID: message.UserID,
			LoginName: message.LoginName, DisplayName: message.DisplayName,
			PreferredLanguage: message.Language, SessionID: message.SessionID,
		},
	})
	return err
}

// kindOf is the kind of message for a purpose; both have the same names, and a test
// holds them together.
func kindOf(p sending.Purpose) notify.Kind { return notify.Kind(p) }

func (m *messenger) link(message sending.Message) (string, error) {
	if message.URLTemplate == "" {
		return "", nil
	}
	template, err := notify.ParseURLTemplate(kindOf(message.Purpose), message.URLTemplate, m.linkHosts)
	if err != nil {
		return "", err
	}
	return template.Execute(notify.URLData{
		Code: message.Code, CodeID: message.CodeID, UserID: message.UserID, OrgID: message.Organization,
		LoginName: message.LoginName, DisplayName: message.DisplayName, PreferredLanguage: message.Language,
		SessionID: message.SessionID,
	})
}
