package wallet

import "github.com/bulla-id/bulla/credential"

// refusalTexts says each refusal to a person.
var refusalTexts = map[Code]credential.Text{
	CodeNetwork:            {English: "The other side could not be reached. Try again later.", Chinese: "无法连接对方，请稍后再试。"},
	CodeLedger:             {English: "The ledger's server gave answers that do not fit the chain. Nothing was sent.", Chinese: "账本服务器的应答与链不符，未发送任何内容。"},
	CodeGenesis:            {English: "This belongs to another chain than this wallet.", Chinese: "此内容属于另一条链，与本钱包不符。"},
	CodeVaultFull:          {English: "The wallet is full. Remove credentials that are no longer needed.", Chinese: "钱包已满，请移除不再需要的凭证。"},
	CodeOffer:              {English: "This offer cannot be used.", Chinese: "此发放邀请无法使用。"},
	CodeCompanion:          {English: "This offer is of an ordinary credential, for other wallets: open it with one of those.", Chinese: "此发放邀请中的是普通凭证，供其他钱包使用：请用其他钱包打开。"},
	CodeAddress:            {English: "The address is not safe, so nothing was sent there.", Chinese: "该地址不安全，未向其发送任何内容。"},
	CodeAnswer:             {English: "The other side gave an answer that cannot be used.", Chinese: "对方的应答无法使用。"},
	CodeTxCode:             {English: "A code is needed that the agency sent you another way.", Chinese: "需要机构通过其他途径发给您的验证码。"},
	CodeIssuer:             {English: "The agency's details contradict the chain.", Chinese: "机构信息与链上登记不符。"},
	CodePending:            {English: "The agency has not issued the credential yet. Look again later: bulla wallet resume.", Chinese: "机构尚未签发该凭证，请稍后再查看：bulla wallet resume。"},
	CodeRemote:             {English: "The other side refused.", Chinese: "对方已拒绝。"},
	CodeClaims:             {English: "The credential's contents do not fit its kind.", Chinese: "凭证内容与其类型不符。"},
	CodeValidity:           {English: "The credential's validity is not as it must be.", Chinese: "凭证的有效期不合规定。"},
	CodeCommitment:         {English: "What the agency handed over is not what it put on the chain.", Chinese: "机构交付的内容与其上链内容不一致。"},
	CodeEntry:              {English: "The chain does not confirm that the agency issued this.", Chinese: "链上无法确认该机构签发了此凭证。"},
	CodeNotOnChain:         {English: "The credential is not on the chain.", Chinese: "该凭证不在链上。"},
	CodeKeyNotListed:       {English: "The proof would be made for a key that the chain does not accept.", Chinese: "所要求的验证密钥未被链认可。"},
	CodeKeyExpired:         {English: "The proof would be made for a key that is past its end.", Chinese: "所要求的验证密钥已过期。"},
	CodeRequest:            {English: "This request cannot be read.", Chinese: "无法读取此请求。"},
	CodeNotRegistered:      {English: "Who asks, or what is asked, is not registered on the chain.", Chinese: "请求方或其请求内容未在链上登记。"},
	CodeSignature:          {English: "The request is not signed by who it says.", Chinese: "请求的签名与其声称的身份不符。"},
	CodeClient:             {English: "The request speaks for somebody else than who signed it.", Chinese: "请求所称的身份与签名者不符。"},
	CodeResponseURI:        {English: "The answer would go to an address that is not the verifier's.", Chinese: "应答地址不属于该验证方。"},
	CodeClock:              {English: "The verifier's clock and yours differ too much.", Chinese: "验证方的时钟与您的时钟相差过大。"},
	CodeExpiredRequest:     {English: "The request has expired. Ask for a new one.", Chinese: "请求已过期，请重新获取。"},
	CodeWider:              {English: "The verifier asks for something else than it registered.", Chinese: "验证方的请求与其登记内容不一致。"},
	CodeUnprovable:         {English: "What is asked cannot be proven.", Chinese: "所要求的内容无法证明。"},
	CodeUnsupported:        {English: "The request needs something that this wallet does not have.", Chinese: "此请求需要本钱包不支持的功能。"},
	CodeNonceUsed:          {English: "This request was answered already.", Chinese: "此请求已经应答过。"},
	CodeConsent:            {English: "The choice does not fit the request.", Chinese: "所作选择与请求不符。"},
	CodeNoCredential:       {English: "You have no credential of this kind.", Chinese: "您没有此类凭证。"},
	CodeWrongIssuer:        {English: "Your credential is from an agency that is not accepted here.", Chinese: "您的凭证由此处不接受的机构签发。"},
	CodeIssuerSuspended:    {English: "The agency that issued your credential is suspended.", Chinese: "签发您凭证的机构已被暂停。"},
	CodeExpired:            {English: "Your credential has expired.", Chinese: "您的凭证已过期。"},
	CodeNotYetValid:        {English: "Your credential is not valid yet.", Chinese: "您的凭证尚未生效。"},
	CodeRevokedOrSuspended: {English: "Your credential is suspended or revoked.", Chinese: "您的凭证已被暂停或吊销。"},
	CodeClauseFalse:        {English: "Your credential does not fulfil what is asked.", Chinese: "您的凭证不满足所要求的条件。"},
	CodeNoSubject:          {English: "Your credential names no thing that could be recognised.", Chinese: "您的凭证没有可供识别的标的。"},
	CodeSameCredential:     {English: "One credential cannot answer two questions of a request.", Chinese: "同一凭证不能回答一次请求中的两个问题。"},
	CodeCounterBehind:      {English: "This counter has not looked at the chain since your credential was issued, or for too long. Ask it to do so.", Chinese: "该窗口自您的凭证签发以来未更新链上数据，或更新已过久。请窗口更新后再试。"},
	CodeNotOnGrid:          {English: "Your credential is too new, or the ledger's server is behind. Try again a little later.", Chinese: "您的凭证太新，或账本服务器滞后，请稍后再试。"},
	CodeProof:              {English: "The proof could not be made.", Chinese: "无法生成证明。"},
}

// texts are the sentences of one language that the wallet adds to those of policies.
type texts struct {
	identified, atCounter, revocation, dev, crowd, smallCrowd, group, newer string
	pseudonym, subjectTag, or, yes, no                                      string
	before, nothingBefore, adds                                             string
	set, lostSet                                                            string
	narrows, together, askedSets, linkedByCrowd                             string
}

var explanationTexts = map[string]*texts{
	"en": {
		identified: "%s (%s) asks. It is registered on the chain and signed this request with its registered key %s. The answer goes to %s.",
		atCounter:  "%s (%s) asks at its counter %s. It is registered on the chain and gave this counter's key a pass with its registered key %s. Nothing is sent: you show the answer to the counter, and whoever reads it learns the same.",
		revocation: "A revocation takes effect here after at most %d seconds.",
		dev:        "This is the development chain “%s”: its keys protect nothing, and what is shown here is no real document.",
		crowd:      "Live credentials that could give this answer: %d.",
		smallCrowd: "%s: few live credentials are of this kind (%d); the answer may single you out.",
		group:      "The ledger's host sees a group that yours is in, and not which one it is. Live credentials in the group: %d.",
		newer:      "%s: your credential is newer than the root that other wallets use now. Waiting a little hides you better.",
		pseudonym:  "your pseudonym for “%s”", subjectTag: "the tag of the thing itself for “%s”", or: " or ", yes: "yes", no: "no",
		before: "This verifier has learned from you before:", nothingBefore: "This verifier has learned nothing from you so far.",
		adds: "This answer adds:", set: "The whole list “%s” (set %s) has %d members: --json shows them.",
		askedSets: "The lists that are asked by were read from the ledger's host just now: it learned which ones.",
		narrows:   "What the answer narrows down:", together: "Together with what this verifier learned before, if it can tell that you are the same person:",
		linkedByCrowd: "Nothing that is sent links this visit to any other, but few people could send it.",
		lostSet:       "%s is one of a list of values that this wallet keeps no longer (set %s)",
	},
	"zh-CN": {
		identified: "请求方：%s（%s）。该方已在链上登记，并以其登记的密钥 %s 签署了本请求。应答将发送至 %s。",
		atCounter:  "请求方：%s（%s）的窗口 %s。该方已在链上登记，并以其登记的密钥 %s 为该窗口的密钥签发了许可。不会发送任何数据：由您向窗口出示应答，任何读取者所知与窗口相同。",
		revocation: "吊销最迟在 %d 秒内在此生效。",
		dev:        "这是开发链“%s”：其密钥不提供任何保护，此处所示并非真实证件。",
		crowd:      "共有 %d 份有效的同类凭证可作此应答。",
		smallCrowd: "%s：同类有效凭证仅 %d 份，此应答可能使您被单独识别。",
		group:      "账本服务器只能看到您的凭证属于一个含 %d 份有效凭证的分组。",
		newer:      "%s：您的凭证比其他钱包目前使用的根更新，稍候再用更不易被识别。",
		pseudonym:  "您在“%s”中的假名", subjectTag: "该物在“%s”中的标签", or: "或", yes: "是", no: "否",
		before: "该验证方此前已从您处得知：", nothingBefore: "该验证方此前未从您处得知任何内容。",
		adds: "本次应答将新增：", set: "完整名单“%s”（集合 %s）共 %d 项，可用 --json 查看。",
		askedSets: "所询问的名单刚刚从账本服务器读取：该服务器因此得知是哪些名单。",
		narrows:   "此应答将范围缩小为：", together: "如验证方能认出您是同一人，连同其此前所知：",
		linkedByCrowd: "所发送的内容无法将本次与任何其他一次相关联，但能作此应答的人很少。",
		lostSet:       "%s 为某名单所列之一，本钱包已不再保存该名单（集合 %s）",
	},
}

func textsIn(language string) *texts {
	if t, ok := explanationTexts[language]; ok {
		return t
	}
	return explanationTexts["en"]
}
