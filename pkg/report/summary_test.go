package report_test

import (
	"errors"
	"testing"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/report"
)

func TestSummary(t *testing.T) {
	all := []report.ServiceOutcome{
		{Service: "api", Resources: []report.Outcome{
			{Resource: id("service", "shop"), Status: report.Unchanged, Action: plan.None},
			{Resource: id("function", "shop/a"), Status: report.Done, Action: plan.Create},
			{Resource: id("function", "shop/b"), Status: report.Left, Action: plan.Update},
			{Resource: id("function", "shop/c"), Status: report.Failed, Action: plan.Update, Err: errors.New("updating function shop/c: \x1b[1mno\nmore")},
			{Resource: id("trigger", "shop/c/http"), Status: report.NotTried, Action: plan.Create},
		}},
		{Service: "jobs", Resources: []report.Outcome{
			{Resource: id("service", "jobs"), Status: report.Kept, Action: plan.Delete},
			{Resource: id("function", "jobs/x"), Status: report.Done, Action: plan.Delete},
			{Resource: id("function", "jobs/y"), Status: report.Unchanged},
		}},
	}
	golden(t, "summary.txt", report.Summary(all))
	golden(t, "summary.md", report.SummaryMarkdown(all))
	golden(t, "summary_one.txt", report.Summary([]report.ServiceOutcome{{Service: "api", Resources: all[0].Resources[:2]}}))
	if got := report.Summary(nil) + report.SummaryMarkdown([]report.ServiceOutcome{{Service: "x"}}); got != "" {
		t.Errorf("nothing was done, got %q", got)
	}
}
