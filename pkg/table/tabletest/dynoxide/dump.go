package dynoxide

import (
	"bytes"
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/stepup-auth/stepup/pkg/table"
)

// Dump returns all that a table holds, for a search: the names and values of every
// item, each on a line of its own, text and bytes as they are.
func Dump(ctx context.Context, client *dynamodb.Client, name string) ([]byte, error) {
	var all bytes.Buffer
	err := scan(ctx, client, name, func(item map[string]types.AttributeValue) {
		write(&all, &types.AttributeValueMemberM{Value: item})
	})
	return all.Bytes(), err
}

// Keys returns the keys of all items in a table.
func Keys(ctx context.Context, client *dynamodb.Client, name string) ([]table.Key, error) {
	var all []table.Key
	err := scan(ctx, client, name, func(item map[string]types.AttributeValue) {
		pk, sk := item[table.PartitionKey].(*types.AttributeValueMemberS), item[table.SortKey].(*types.AttributeValueMemberS)
		all = append(all, table.Key{PK: pk.Value, SK: sk.Value})
	})
	return all, err
}

func scan(ctx context.Context, client *dynamodb.Client, name string, f func(item map[string]types.AttributeValue)) error {
	pages := dynamodb.NewScanPaginator(client, &dynamodb.ScanInput{TableName: &name, ConsistentRead: new(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range page.Items {
			f(item)
		}
	}
	return nil
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
