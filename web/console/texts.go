package console

import (
	"maps"

	"github.com/bulla-id/bulla/credential"
)

// texts are the words of the pages. What the API says of a claim is in the words of the schema.
var texts = together(frameTexts, applicationTexts, credentialTexts, overviewTexts, auditTexts, importsTexts, keysTexts, signInTexts)

func together(parts ...map[string]credential.Text) map[string]credential.Text {
	all := make(map[string]credential.Text)
	for _, part := range parts {
		maps.Copy(all, part)
	}
	return all
}

// frameTexts are the words that all pages have.
var frameTexts = map[string]credential.Text{
	"language.other":     {English: "中文", Chinese: "English"},
	"skip":               {English: "Skip to the content", Chinese: "跳到正文"},
	"console.name":       {English: "Issuer console", Chinese: "发证管理台"},
	"console.navigation": {English: "Sections", Chinese: "栏目"},
	"console.signed-in":  {English: "Signed in as", Chinese: "当前用户"},
	"console.sign-out":   {English: "Sign out", Chinese: "退出"},
	"console.back":       {English: "Back to the start", Chinese: "返回首页"},

	"console.title.problem":       {English: "That did not work", Chinese: "操作未完成"},
	"console.problem.internal":    {English: "Something went wrong here. Try again; if it stays, tell who runs the service.", Chinese: "系统出现问题。请重试；若仍不成功，请告知运维人员。"},
	"console.problem.scope":       {English: "Your role does not include this. Somebody with another role can do it.", Chinese: "您的角色没有此项权限，请由具有相应角色的人员办理。"},
	"console.problem.forbidden":   {English: "Your role does not include this. Somebody with another role can do it.", Chinese: "您的角色没有此项权限，请由具有相应角色的人员办理。"},
	"console.problem.other-site":  {English: "The request came from another site, so nothing was done. Open the console itself and try again.", Chinese: "请求来自其他网站，未执行任何操作。请直接打开管理台重试。"},
	"console.problem.too-large":   {English: "That is more than can be taken at once.", Chinese: "内容过大，无法一次接收。"},
	"console.problem.not-found":   {English: "There is no such thing here.", Chinese: "未找到相应内容。"},
	"console.problem.unavailable": {English: "Not possible at this moment. Try again soon.", Chinese: "暂时无法办理，请稍后再试。"},
}
