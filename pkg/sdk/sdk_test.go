package sdk_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/stepup-auth/stepup/pkg/sdk"
)

func TestFunctionReadsItsCredentialsAnewEachTime(t *testing.T) {
	t.Parallel()
	values := map[string]string{}
	c := sdk.Config("eu-central-1", func(name string) (string, bool) {
		v, ok := values[name]
		return v, ok
	})
	if _, err := c.Credentials.Retrieve(t.Context()); err == nil {
		t.Error("an empty environment has credentials")
	}
	for _, id := range []string{"first", "second"} {
		values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"] = id, "secret"
		if got, err := c.Credentials.Retrieve(t.Context()); err != nil || got.AccessKeyID != id {
			t.Errorf("got %q, %v, want %q", got.AccessKeyID, err, id)
		}
	}
	if c.Region != "eu-central-1" {
		t.Errorf("region %q", c.Region)
	}
}

// wrapped hides what kind of reader a body is, as the SDK does.
type wrapped struct{ io.Reader }

func TestHeadAndBodyOfARequestLeaveTogether(t *testing.T) {
	t.Parallel()
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	pieces := make(chan []byte, 1)
	go answerEachPiece(server, pieces)
	client := sdk.Config("eu-central-1", nil).HTTPClient
	body := []byte(`{"TableName":"table"}`)
	for range 2000 { // what leaves apart may still arrive together, now and then
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+server.Addr().String(), wrapped{bytes.NewReader(body)})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(body))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if piece := <-pieces; !bytes.HasSuffix(piece, body) {
			t.Fatalf("without its body came\n%s", piece)
		}
	}
}

// answerEachPiece takes a connection, and whatever can be read at once for a request.
func answerEachPiece(server net.Listener, pieces chan<- []byte) {
	conn, err := server.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		piece := make([]byte, 4096)
		n, err := conn.Read(piece)
		if err != nil {
			return
		}
		pieces <- piece[:n]
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"); err != nil {
			return
		}
	}
}
