package console

import "github.com/bulla-id/bulla/credential"

var overviewTexts = map[string]credential.Text{
	"console.nav.overview":    {English: "Overview", Chinese: "概览"},
	"console.title.overview":  {English: "Overview", Chinese: "概览"},
	"overview.now":            {English: "How things stand", Chinese: "当前情况"},
	"overview.schema":         {English: "Credential", Chinese: "凭证"},
	"overview.all-schemas":    {English: "All", Chinese: "全部"},
	"overview.waiting":        {English: "Applications not decided", Chinese: "待审申请"},
	"overview.approved":       {English: "Approved, not received yet", Chinese: "已批准、待领取"},
	"overview.active":         {English: "Active", Chinese: "有效"},
	"overview.suspended-now":  {English: "Suspended", Chinese: "暂停中"},
	"overview.revoked-now":    {English: "Revoked", Chinese: "已吊销"},
	"overview.over-time":      {English: "Over time", Chinese: "随时间变化"},
	"overview.period":         {English: "Period", Chinese: "时段"},
	"overview.period.month":   {English: "30 days, by day", Chinese: "30 天，按日"},
	"overview.period.quarter": {English: "A quarter, by week", Chinese: "一季度，按周"},
	"overview.period.year":    {English: "A year, by month", Chinese: "一年，按月"},
	"overview.show":           {English: "Show", Chinese: "显示"},
	"overview.filed":          {English: "Applications filed", Chinese: "收到的申请"},
	"overview.issued":         {English: "Credentials issued", Chinese: "签发的凭证"},
	"overview.revoked":        {English: "Credentials revoked", Chinese: "吊销的凭证"},
	"overview.suspended":      {English: "Credentials suspended", Chinese: "暂停的凭证"},
	"overview.refused":        {English: "Applications refused or withdrawn", Chinese: "拒绝或撤回的申请"},
	"overview.sum":            {English: "in all", Chinese: "共计"},
	"overview.most":           {English: "at most", Chinese: "最多"},
	"overview.table-below":    {English: "The table below has the numbers.", Chinese: "具体数字见下表。"},
	"overview.as-table":       {English: "The same as a table", Chinese: "以表格显示"},
	"overview.from":           {English: "From", Chinese: "起始"},
	"overview.oldest":         {English: "The oldest application that waits was filed", Chinese: "等待最久的申请提交于"},
	"overview.utc":            {English: "Days are those of UTC. The numbers say nothing of any person.", Chinese: "日期按 UTC 计算。这些数字不涉及任何个人。"},
}
