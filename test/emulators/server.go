package emulators

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Server is a running emulator.
type Server struct {
	// Addr is where it listens: a loopback address with its port.
	Addr string

	// life is the write end of the guard's standard input. It stays open as long
	// as this process lives, however it ends, and closing it ends the server.
	life *os.File
	// gone is closed when the server has ended.
	gone chan struct{}
}

// guard is a shell program that runs its arguments as a server and kills it when
// standard input ends. The kernel closes the pipe with the last process that holds
// it, so no way of dying leaves a server behind.
const guard = `"$@" & server=$!
(cat; kill -9 $server) <&3 >/dev/null 2>&1 &
wait $server`

// attempts is how many ports are tried: another process may take a free one before
// the server does.
const attempts = 3

// patience is how long a server may take until it answers. It needs a second at the
// most, on a machine that has nothing else to do.
const patience = 30 * time.Second

// Start runs a command, to which it adds --host and --port with a free address, and
// returns when it accepts connections. The server ends with Stop, or with this process,
// however that dies.
func Start(command ...string) (s *Server, err error) {
	for range attempts {
		if s, err = startOnce(command); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func startOnce(command []string) (*Server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	command = append(slices.Clone(command), "--host", host, "--port", port)
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", append([]string{"-c", guard, "sh"}, command...)...)
	cmd.ExtraFiles = []*os.File{r} // file descriptor 3 of the shell
	err = cmd.Start()
	_ = r.Close() // ours; the shell has its own
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	s := &Server{Addr: addr, life: w, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is not of interest: it ends by being killed
		close(s.gone)
	}()
	if err := s.await(); err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return s, nil
}

// Stop ends the server and waits until it is gone.
func (s *Server) Stop() {
	_ = s.life.Close() // cannot fail in a way that matters: the reader sees the end
	<-s.gone
}

// await returns when the server accepts connections.
func (s *Server) await() error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(patience)
	for {
		select {
		case <-s.gone:
			return errors.New("the server ended before it answered")
		case <-timeout:
			return fmt.Errorf("the server did not answer within %v", patience)
		case <-tick.C:
			conn, err := net.Dial("tcp", s.Addr)
			if err != nil {
				continue
			}
			return conn.Close()
		}
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
