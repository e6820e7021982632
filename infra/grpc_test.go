package infra_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

const grpcDoor = "infra/grpc.yaml"

type container struct {
	User                   string      `yaml:"User"`
	ReadonlyRootFilesystem bool        `yaml:"ReadonlyRootFilesystem"`
	Environment            []yaml.Node `yaml:"Environment"`
}

func deployedContainer(t *testing.T) container {
	t.Helper()
	task := properties[struct {
		ContainerDefinitions []container `yaml:"ContainerDefinitions"`
	}](t, load(t, grpcDoor), "Task")
	if len(task.ContainerDefinitions) != 1 {
		t.Fatalf("%d containers", len(task.ContainerDefinitions))
	}
	return task.ContainerDefinitions[0]
}

// TestContainerIsConfiguredAsTheFunction compares what each sets from a parameter, and
// the parameters. What the function sets to a default, the container has by itself.
func TestContainerIsConfiguredAsTheFunction(t *testing.T) {
	t.Parallel()
	function, want := load(t, app), map[string]string{}
	for name, v := range functions(t)["api"].Environment.Variables {
		if v.Tag == "!Ref" {
			want[name] = v.Value
		}
	}
	door, got := load(t, grpcDoor), map[string]string{}
	for _, n := range deployedContainer(t).Environment {
		var v dimension
		if err := n.Decode(&v); err != nil {
			t.Fatal(err)
		}
		if ours(v.Name) {
			got[v.Name] = v.Value
		}
	}
	// What a function knows by itself: whose metrics its own are.
	if name := got["STEPUP_METRICS"]; name != "Function" {
		t.Errorf("the container counts in the name of %q", name)
	}
	delete(got, "STEPUP_METRICS")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the function sets (-), the container sets (+):\n%s", diff)
	}
	for name, parameter := range want {
		if diff := cmp.Diff(function.Parameters[parameter], door.Parameters[parameter]); diff != "" {
			t.Errorf("the parameter of %s in %s (-) and %s (+):\n%s", name, app, grpcDoor, diff)
		}
	}
}

func TestContainerCanDoLittle(t *testing.T) {
	t.Parallel()
	if c := deployedContainer(t); c.User != "65532:65532" || !c.ReadonlyRootFilesystem {
		t.Errorf("container = %+v", c)
	}
}

func TestLoadBalancerSpeaksGRPCAndAsksForHealthInIt(t *testing.T) {
	t.Parallel()
	targets := properties[struct {
		ProtocolVersion string `yaml:"ProtocolVersion"`
		HealthCheckPath string `yaml:"HealthCheckPath"`
		Matcher         struct {
			GRPCCode string `yaml:"GrpcCode"`
		} `yaml:"Matcher"`
	}](t, load(t, grpcDoor), "Targets")
	if targets.ProtocolVersion != "GRPC" || targets.HealthCheckPath != "/grpc.health.v1.Health/Check" || targets.Matcher.GRPCCode != "0" {
		t.Errorf("targets = %+v", targets)
	}
}

func TestImageHoldsTheProgramAndNothingElse(t *testing.T) {
	t.Parallel()
	_, image, found := strings.Cut(read(t, "Dockerfile"), "\nFROM scratch\n")
	if !found || strings.Contains(image, "FROM ") {
		t.Fatal("the image is not made from nothing")
	}
	for _, want := range []string{"/etc/ssl/certs/ca-certificates.crt ", "/stepup /stepup", "USER 65532:65532", `ENTRYPOINT ["/stepup"]`, `CMD ["serve"`} {
		if !strings.Contains(image, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	if strings.Contains(image, "RUN ") {
		t.Error("there is no shell to run anything with")
	}
}

func TestImageIsBuiltWithTheCompilerOfTheModule(t *testing.T) {
	t.Parallel()
	module := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))
	image := regexp.MustCompile(`golang:(\S+) AS`).FindStringSubmatch(read(t, "Dockerfile"))
	if module == nil || image == nil || module[1] != image[1] {
		t.Errorf("go.mod says %q, the Dockerfile %q", module, image)
	}
}

func TestImageIsBuiltFromAllThatTheProgramImports(t *testing.T) {
	t.Parallel()
	const module = "github.com/stepup-auth/stepup/"
	command := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/stepup")
	command.Dir = ".."
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	sent := regexp.MustCompile(`(?m)^!(\S+)$`).FindAllStringSubmatch(read(t, ".dockerignore"), -1)
	for path := range strings.SplitSeq(string(out), "\n") {
		inner, ours := strings.CutPrefix(path, module)
		if !ours {
			continue
		}
		folder, _, _ := strings.Cut(inner, "/")
		if !slices.ContainsFunc(sent, func(s []string) bool { return s[1] == folder }) {
			t.Errorf(".dockerignore holds back %s", inner)
		}
	}
}
