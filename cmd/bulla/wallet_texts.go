package main

import (
	"fmt"

	"github.com/bulla-id/bulla/wallet"
)

// words are what the wallet's commands say to a citizen, in one language.
type words struct {
	passphrase, newPassphrase, again, different, backupPassphrase, wrongPassphrase string
	yes, consent, declined, cannot, nobodyToAsk                                    string

	created, afterCreation, received, nothingHere, nothingToResume, removed, askRemove string
	backedUp, restored, passphraseChanged                                              string
	answered, showCounter, refused, goOn, noHistory, stillValid                        string
	issuer, validity, leaf, state, checked, credentials                                string

	states   map[wallet.State]string
	stages   map[wallet.Stage]string
	kinds    map[wallet.EventKind]string
	outcomes map[wallet.Outcome]string
}

var wordsOf = map[string]*words{
	"en": {
		passphrase: "Passphrase of the wallet: ", newPassphrase: "New passphrase of the wallet: ", again: "The same once more: ",
		different: "the two passphrases differ: nothing was done", backupPassphrase: "Passphrase of the backup: ",
		wrongPassphrase: "The passphrase is wrong, or the file is damaged.",
		yes:             "yes", consent: "\nAnswer like this? Type yes to agree, anything else to send nothing: ",
		declined:    "you did not agree: nothing was sent (--refuse would tell the verifier no)",
		cannot:      "the wallet cannot answer this. Nothing was sent; --refuse tells the verifier no, and no more",
		nobodyToAsk: "there is no terminal to ask for your consent at: give --yes to agree or --refuse to refuse",
		created:     "Made a wallet in %s.",
		afterCreation: "It opens with your passphrase and nothing else: nobody can restore it for you.\n" +
			"Next: bulla wallet receive LINK, with a link that an agency gave you.",
		received: "Received: %s", nothingHere: "The wallet has no credentials. Next: bulla wallet receive LINK.",
		nothingToResume: "Nothing was left to take up.", removed: "Removed credential %s. The chain keeps its commitment; only the agency can revoke it.",
		askRemove: "Remove credential %s (%s) from this wallet for good? Type yes: ",
		backedUp:  "Wrote a backup to %s. It opens with the passphrase of the backup.", restored: "Restored a wallet with %d credentials to %s.",
		passphraseChanged: "The wallet opens with the new passphrase. Copies made before still open with the old one.",
		showCounter:       "Show this to the counter, to nobody else. It counts once:",
		answered:          "Answered. The verifier took it.", refused: "Refused. The verifier was told no, and nothing else.", goOn: "Go on at: %s",
		noHistory: "Nothing was received or shown yet.", stillValid: "until %s",
		issuer: "Issuer", validity: "Valid", leaf: "Leaf on the chain", state: "State", checked: "seen %s", credentials: "credentials",
		states: map[wallet.State]string{
			wallet.StateActive: "active", wallet.StateWaiting: "waiting for the next root", wallet.StateRevokedOrSuspended: "suspended or revoked",
			wallet.StateIssuerSuspended: "agency suspended", wallet.StateNotYetValid: "not valid yet", wallet.StateExpired: "expired",
		},
		stages: map[wallet.Stage]string{
			wallet.StageAsk: "asking", wallet.StageChain: "reading the chain", wallet.StageKey: "loading the proving key", wallet.StageProve: "proving",
			wallet.StageWait: "waiting for the chain", wallet.StageSend: "sending", wallet.StageDone: "done",
		},
		kinds: map[wallet.EventKind]string{wallet.EventReceived: "received from", wallet.EventPresented: "shown to", wallet.EventRefused: "refused to"},
		outcomes: map[wallet.Outcome]string{
			wallet.OutcomeSent: "sent, outcome unknown", wallet.OutcomeDone: "done", wallet.OutcomeRejected: "not accepted", wallet.OutcomeUnknown: "network failed: it may have arrived",
		},
	},
	"zh-CN": {
		passphrase: "钱包口令：", newPassphrase: "新的钱包口令：", again: "请再次输入：",
		different: "两次输入的口令不同，未作任何更改", backupPassphrase: "备份口令：",
		wrongPassphrase: "口令错误，或文件已损坏。",
		yes:             "同意", consent: "\n是否如此应答？输入“同意”（或 yes）即应答，输入其他内容则不发送任何信息：",
		declined:    "您未同意：未发送任何信息（--refuse 可告知验证方您拒绝）",
		cannot:      "本钱包无法应答此请求。未发送任何信息；--refuse 仅告知验证方您拒绝",
		nobodyToAsk: "没有可供征求同意的终端：用 --yes 表示同意，或用 --refuse 表示拒绝",
		created:     "已在 %s 创建钱包。",
		afterCreation: "钱包只能用您的口令打开，任何人都无法替您恢复。\n" +
			"下一步：bulla wallet receive 链接（由机构提供）。",
		received: "已接收：%s", nothingHere: "钱包中没有凭证。下一步：bulla wallet receive 链接。",
		nothingToResume: "没有需要继续的接收。", removed: "已移除凭证 %s。链上承诺仍在，只有签发机构可以吊销。",
		askRemove: "确定从本钱包中永久移除凭证 %s（%s）吗？请输入“同意”：",
		backedUp:  "备份已写入 %s，需用备份口令打开。", restored: "已恢复含 %d 份凭证的钱包：%s。",
		passphraseChanged: "钱包口令已更改。此前的副本仍可用旧口令打开。",
		showCounter:       "请仅向该窗口出示此码，只能使用一次：",
		answered:          "已应答，验证方已接受。", refused: "已拒绝。验证方只知道您拒绝，别无其他。", goOn: "请前往：%s",
		noHistory: "尚未接收或出示任何内容。", stillValid: "有效期至 %s",
		issuer: "签发机构", validity: "有效期", leaf: "链上叶序号", state: "状态", checked: "查看于 %s", credentials: "凭证",
		states: map[wallet.State]string{
			wallet.StateActive: "有效", wallet.StateWaiting: "等待下一个根", wallet.StateRevokedOrSuspended: "已暂停或吊销",
			wallet.StateIssuerSuspended: "签发机构已被暂停", wallet.StateNotYetValid: "尚未生效", wallet.StateExpired: "已过期",
		},
		stages: map[wallet.Stage]string{
			wallet.StageAsk: "请求中", wallet.StageChain: "读取链", wallet.StageKey: "加载证明密钥", wallet.StageProve: "生成证明",
			wallet.StageWait: "等待上链", wallet.StageSend: "发送", wallet.StageDone: "完成",
		},
		kinds: map[wallet.EventKind]string{wallet.EventReceived: "接收自", wallet.EventPresented: "出示给", wallet.EventRefused: "拒绝了"},
		outcomes: map[wallet.Outcome]string{
			wallet.OutcomeSent: "已发送，结果未知", wallet.OutcomeDone: "完成", wallet.OutcomeRejected: "未被接受", wallet.OutcomeUnknown: "网络故障，对方可能已收到",
		},
	},
}

// wordsIn are the words of a language, which must be one that we have.
func wordsIn(language string) (*words, error) {
	w, ok := wordsOf[language]
	if !ok {
		return nil, fmt.Errorf("--lang %q: choose zh-CN or en", language)
	}
	return w, nil
}
