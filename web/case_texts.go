package web

import "github.com/bulla-id/bulla/credential"

// caseTexts are the words of the page of a case.
var caseTexts = map[string]credential.Text{
	"case.title":           {English: "Your application", Chinese: "您的申请"},
	"case.now":             {English: "Where it is now", Chinese: "当前进度"},
	"case.steps":           {English: "Step by step", Chinese: "办理过程"},
	"case.ahead":           {English: "still to come", Chinese: "尚未进行"},
	"case.live":            {English: "This page follows along: you need not reload it.", Chinese: "本页会自动更新，无需刷新。"},
	"case.script-off":      {English: "Without scripts this page renews itself every half minute.", Chinese: "脚本已停用：本页每半分钟自动刷新。"},
	"case.private":         {English: "Whoever has the address of this page can see it. It shows how far your application is, not what is in it.", Chinese: "知道本页地址的人都能看到本页。本页只显示办理进度，不显示申请内容。"},
	"case.gone-title":      {English: "There is no such application", Chinese: "没有这个申请"},
	"case.gone":            {English: "Check the address that the office gave you. Applications that were erased are not shown any longer.", Chinese: "请核对机构给您的地址。已删除的申请不再显示。"},
	"case.down-title":      {English: "This page cannot be shown now", Chinese: "页面暂时无法显示"},
	"case.down":            {English: "Try again in a moment.", Chinese: "请稍后再试。"},
	"case.kind.issue":      {English: "Application for a credential", Chinese: "凭证申请"},
	"case.kind.renew":      {English: "Renewal of a credential", Chinese: "凭证续期"},
	"case.kind.correct":    {English: "Correction of a credential", Chinese: "凭证更正"},
	"case.kind.transfer":   {English: "Transfer to you", Chinese: "转移给您"},
	"case.kind.reinstate":  {English: "Reinstatement of a credential", Chinese: "凭证恢复"},
	"case.kind.revoke":     {English: "Revocation of a credential", Chinese: "凭证吊销"},
	"case.kind.companion":  {English: "A copy of a credential for another wallet", Chinese: "供其他钱包使用的凭证副本"},
	"case.state.submitted": {English: "Received", Chinese: "已受理"},
	"case.state.in-review": {English: "Being reviewed", Chinese: "审核中"},
	"case.state.approved":  {English: "Approved", Chinese: "已批准"},
	"case.state.refused":   {English: "Refused", Chinese: "未批准"},
	"case.state.withdrawn": {English: "Withdrawn", Chinese: "已撤回"},
	"case.state.issued":    {English: "Issued", Chinese: "已签发"},
	"case.state.done":      {English: "Done", Chinese: "已办结"},
	"case.means.submitted": {English: "The office has your application. An officer will look at it.", Chinese: "机构已收到您的申请，工作人员将进行审核。"},
	"case.means.in-review": {English: "Officers are looking at it.", Chinese: "工作人员正在审核。"},
	"case.means.approved":  {English: "It is decided. If you have not yet, receive the offer in your wallet; your wallet finishes the rest by itself.", Chinese: "已作出决定。如尚未领取，请用钱包接收；其余由钱包自动完成。"},
	"case.means.refused":   {English: "The office has refused it. Ask the office for the reason and what you can do.", Chinese: "机构未予批准。理由和救济途径请向机构咨询。"},
	"case.means.withdrawn": {English: "It was withdrawn. Nothing more happens.", Chinese: "申请已撤回，不再办理。"},
	"case.means.issued":    {English: "It is in your wallet, and its seal is on the chain.", Chinese: "凭证已在您的钱包中，其封块已上链。"},
	"case.means.done":      {English: "It is on the chain and in effect.", Chinese: "已上链并生效。"},
}
