package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/codedeploy"
	"github.com/aws/aws-sdk-go-v2/service/codedeploy/types"
)

// hookEvent is what CodeDeploy sends to a hook of a Lambda deployment.
type hookEvent struct {
	DeploymentID string `json:"DeploymentId"`
	ExecutionID  string `json:"LifecycleEventHookExecutionId"`
}

// reporter is the part of CodeDeploy that a hook needs.
type reporter interface {
	PutLifecycleEventHookExecutionStatus(
		ctx context.Context, in *codedeploy.PutLifecycleEventHookExecutionStatusInput, opts ...func(*codedeploy.Options),
	) (*codedeploy.PutLifecycleEventHookExecutionStatusOutput, error)
}

// hook runs a trial for CodeDeploy.
type hook struct {
	client reporter
	try    func(context.Context) error
	log    *slog.Logger
}

// handle runs the trial and reports its outcome. A trial that fails is an outcome; the
// error is one of the report, without which CodeDeploy takes the deployment as failed
// when it has waited long enough.
func (h *hook) handle(ctx context.Context, e hookEvent) error {
	status := types.LifecycleEventStatusSucceeded
	if err := h.inTime(ctx); err != nil {
		status = types.LifecycleEventStatusFailed
		h.log.ErrorContext(ctx, "trial failed", "deployment", e.DeploymentID, "error", err.Error())
	}
	_, err := h.client.PutLifecycleEventHookExecutionStatus(ctx, &codedeploy.PutLifecycleEventHookExecutionStatusInput{
		DeploymentId:                  &e.DeploymentID,
		LifecycleEventHookExecutionId: &e.ExecutionID,
		Status:                        status,
	})
	if err != nil {
		return fmt.Errorf("report %s to CodeDeploy: %w", status, err)
	}
	h.log.InfoContext(ctx, "trial reported", "deployment", e.DeploymentID, "status", string(status))
	return nil
}

// inTime runs the trial so that there is time left for the report.
func (h *hook) inTime(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-reserve))
		defer cancel()
	}
	return h.try(ctx)
}
