package app

import (
	"context"
	"fmt"
	"os"

	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
)

// messenger makes the domain's messages into rendered ones and sends them.
type messenger struct {
	notifier  notify.Notifier
	site      string
	linkHosts []string
}

var _ session.Messenger = (*messenger)(nil)

func newMessenger(c config.Config, sender notify.Sender) (*messenger, error) {
	if sender == nil {
		sender = notify.Router{}
	}
	renderer, err := newRenderer(c.Templates)
	if err != nil {
		return nil, fmt.Errorf("STEPUP_TEMPLATES: %w", err)
	}
	return &messenger{
		notifier:  notify.Notifier{Renderer: renderer, Sender: sender},
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

// Accepts implements session.Messenger.
func (m *messenger) Accepts(urlTemplate string) error {
	_, err := notify.ParseURLTemplate(urlTemplate, m.linkHosts)
	return err
}

// Deliver implements session.Messenger.
func (m *messenger) Deliver(ctx context.Context, message session.Message) error {
	link, err := m.link(message)
	if err != nil {
		return err
	}
	kind := notify.OTPEmail
	if message.Channel == sending.SMS {
		kind = notify.OTPSMS
	}
	_, err = m.notifier.Notify(ctx, notify.Message{
		Kind: kind, To: message.To, Language: message.Language,
		Data: notify.Data{
			Code: message.Code, URL: link, Domain: m.site, Expiry: message.Expiry, UserID: message.UserID,
			LoginName: message.LoginName, DisplayName: message.DisplayName,
			PreferredLanguage: message.Language, SessionID: message.SessionID,
		},
	})
	return err
}

func (m *messenger) link(message session.Message) (string, error) {
	if message.URLTemplate == "" {
		return "", nil
	}
	template, err := notify.ParseURLTemplate(message.URLTemplate, m.linkHosts)
	if err != nil {
		return "", err
	}
	return template.Execute(notify.URLData{
		Code: message.Code, UserID: message.UserID, LoginName: message.LoginName,
		DisplayName: message.DisplayName, PreferredLanguage: message.Language, SessionID: message.SessionID,
	})
}
