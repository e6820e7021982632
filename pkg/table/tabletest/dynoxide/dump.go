package dynoxide

import (
	"bytes"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Dump returns all that a table holds, for a search: the names and values of every
// item, each on a line of its own, text and bytes as they are.
func Dump(ctx context.Context, client *dynamodb.Client, name string) ([]byte, error) {
	var all bytes.Buffer
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &name, ConsistentRead: new(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range page.Items {
			write(&all, &types.AttributeValueMemberM{Value: item})
		}
	}
	return all.Bytes(), nil
}

func write(out *bytes.Buffer, v types.AttributeValue) {
	switch v := v.(type) {
	case *types.AttributeValueMemberM:
		for name, member := range v.Value {
			out.WriteString(name + "\n")
			write(out, member)
		}
	case *types.AttributeValueMemberL:
		for _, member := range v.Value {
			write(out, member)
		}
	case *types.AttributeValueMemberB:
		out.Write(append(v.Value, '\n'))
	case *types.AttributeValueMemberS:
		out.WriteString(v.Value + "\n")
	case *types.AttributeValueMemberN:
		out.WriteString(v.Value + "\n")
	default: // of the other types the service writes truths only
	}
}
