package dynoxide

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// server is a running Dynoxide.
type server struct {
	addr   string
	tables atomic.Int64
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

// patience is how long the server may take until it answers. It needs milliseconds.
const patience = 10 * time.Second

func start(binary string) (s *server, err error) {
	for range attempts {
		if s, err = startOnce(binary); err == nil {
			return s, nil
		}
	}
	return nil, err
}

func startOnce(binary string) (*server, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("sh", "-c", guard, "sh", binary, "--host", host, "--port", port)
	cmd.ExtraFiles = []*os.File{r} // file descriptor 3 of the shell
	err = cmd.Start()
	_ = r.Close() // ours; the shell has its own
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	s := &server{addr: addr, life: w, gone: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is not of interest: it ends by being killed
		close(s.gone)
	}()
	if err := s.await(); err != nil {
		s.stop()
		return nil, fmt.Errorf("%s --host %s --port %s: %w", binary, host, port, err)
	}
	return s, nil
}

// stop ends the server and waits until it is gone.
func (s *server) stop() {
	_ = s.life.Close() // cannot fail in a way that matters: the reader sees the end
	<-s.gone
}

// await returns when the server accepts connections.
func (s *server) await() error {
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
			conn, err := net.Dial("tcp", s.addr)
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
