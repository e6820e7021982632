package gen_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
)

// firstAddition is the number from which on a field is ours.
const firstAddition = 1000

// original returns the file as it is without what we added.
func original(t *testing.T, file protoreflect.FileDescriptor) protoreflect.FileDescriptor {
	t.Helper()
	d := protodesc.ToFileDescriptorProto(file)
	for _, m := range d.GetMessageType() {
		var kept []*descriptorpb.FieldDescriptorProto
		for _, f := range m.GetField() {
			if f.GetNumber() < firstAddition {
				kept = append(kept, f)
			}
		}
		m.Field = kept
	}
	built, err := protodesc.NewFile(d, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return built
}

// A client that was built before we added anything reads all that it knows, and keeps
// the rest as unknown.
func TestAClientOfTheOriginalReadsOurAnswers(t *testing.T) {
	t.Parallel()
	aal := uint32(2)
	answer := &sessionv2.Session{
		Id: "1", Sequence: 7, CreationDate: &timestamppb.Timestamp{Seconds: 1772366400},
		Assurance: &sessionv2.Assurance{Aal: &aal, Acr: "aal2", Amr: []string{"pwd", "otp", "mfa"}},
	}
	wire, err := proto.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	file := original(t, sessionv2.File_zitadel_session_v2_session_proto)
	read := dynamicpb.NewMessage(file.Messages().ByName("Session"))
	if err := (proto.UnmarshalOptions{}).Unmarshal(wire, read); err != nil {
		t.Fatal(err)
	}
	got, err := protojson.Marshal(read)
	if err != nil {
		t.Fatal(err)
	}
	answer.Assurance = nil
	want, err := protojson.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.ReplaceAll(string(want), " ", ""), strings.ReplaceAll(string(got), " ", "")); diff != "" {
		t.Error(diff)
	}
}
