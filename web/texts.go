package web

import (
	"maps"

	"github.com/bulla-id/bulla/credential"
)

// texts are the words of our pages. What a verifier asks, and what came of it, is in the words of the role.
var texts = together(verificationTexts, caseTexts, walletTexts, frontTexts, explorerTexts)

func together(parts ...map[string]credential.Text) map[string]credential.Text {
	all := make(map[string]credential.Text)
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// verificationTexts are the words of the page of a verification, and those that all pages have.
var verificationTexts = map[string]credential.Text{
	"language.other": {English: "中文", Chinese: "English"},
	"skip":           {English: "Skip to the content", Chinese: "跳到正文"},

	"verify.title":      {English: "Prove it with your wallet", Chinese: "用钱包出示证明"},
	"verify.asks":       {English: "asks you to prove", Chinese: "请您证明"},
	"verify.purpose":    {English: "What for", Chinese: "用途"},
	"verify.facts":      {English: "What is proven", Chinese: "证明内容"},
	"verify.shown":      {English: "What they see, and what not", Chinese: "对方能看到和看不到的内容"},
	"verify.narrows":    {English: "What the answer narrows down", Chinese: "此应答将范围缩小为"},
	"verify.notice":     {English: "Note:", Chinese: "请注意："},
	"verify.retention":  {English: "How long the result is kept", Chinese: "结果保留时间"},
	"verify.days":       {English: "days", Chinese: "天"},
	"verify.not-kept":   {English: "Not kept beyond this visit", Chinese: "本次之后不保留"},
	"verify.open":       {English: "Open in the wallet on this device", Chinese: "在本机钱包中打开"},
	"verify.open-web":   {English: "Open in the wallet in this browser", Chinese: "在浏览器钱包中打开"},
	"verify.scan":       {English: "Or scan this code with the wallet on your phone", Chinese: "或用手机上的钱包扫描此二维码"},
	"verify.code":       {English: "Code with the request for your wallet", Chinese: "供钱包扫描的请求二维码"},
	"verify.copy":       {English: "Copy the request as text", Chinese: "复制请求文本"},
	"verify.copied":     {English: "Copied", Chinese: "已复制"},
	"verify.state":      {English: "State", Chinese: "状态"},
	"verify.until":      {English: "Good until", Chinese: "有效期至"},
	"verify.back":       {English: "You can close this page and go back.", Chinese: "您可以关闭本页并返回。"},
	"verify.cancel":     {English: "I do not want to", Chinese: "我不想出示"},
	"verify.dev":        {English: "This is a test chain: nothing here proves anything.", Chinese: "这是测试链：此处的证明没有效力。"},
	"verify.script-off": {English: "Without scripts this page renews itself every five seconds.", Chinese: "脚本已停用：本页每五秒自动刷新。"},
	"verify.gone-title": {English: "There is no such request", Chinese: "没有这个请求"},
	"verify.gone":       {English: "It may have expired. Go back to where you came from and start again.", Chinese: "它可能已过期。请回到原来的页面重新开始。"},
	"verify.down-title": {English: "This page cannot be shown now", Chinese: "页面暂时无法显示"},
	"verify.down":       {English: "Try again in a moment.", Chinese: "请稍后再试。"},

	"state.created":   {English: "Waiting for your wallet", Chinese: "等待您的钱包"},
	"state.fetched":   {English: "Your wallet has the request: look at it there", Chinese: "钱包已收到请求：请在钱包中查看"},
	"state.responded": {English: "Your answer is being checked", Chinese: "正在核验您的答复"},
	"state.verified":  {English: "Done: it is proven", Chinese: "完成：证明有效"},
	"state.rejected":  {English: "It was not accepted", Chinese: "未被接受"},
	"state.expired":   {English: "The request has expired", Chinese: "请求已过期"},
	"state.cancelled": {English: "The request was cancelled", Chinese: "请求已取消"},
}
